#include "dmoerm/label/judge_prompts.h"

#include <algorithm>

#include "dmoerm/core/config.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/label/builtin_prompts.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::label {
namespace {

constexpr const char* kPlaceholders[] = {"point", "definition", "question", "reply_1", "reply_2"};
constexpr const char* kRoles[] = {"system", "user", "assistant"};

// The name of the placeholder that begins at `begin` ("{name}"); "" when none does.
std::string_view placeholder_at(std::string_view text, size_t begin) {
  const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", begin + 1);
  if (end == std::string_view::npos || text[end] != '}') return {};
  return text.substr(begin + 1, end - begin - 1);
}

// In one pass: what is put in is not looked at again.
std::string filled(std::string_view text, const std::map<std::string_view, std::string>& values) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = std::min(text.find('{', at), text.size());
    result += text.substr(at, begin - at);
    if (begin == text.size()) break;
    const std::string_view name = placeholder_at(text, begin);
    if (name.empty())
      result += '{';
    else
      result += values.at(name);
    at = begin + (name.empty() ? 1 : name.size() + 2);
  }
  return result;
}

void check_message(const std::string& message, const std::string& where) {
  for (size_t at = 0; (at = message.find('{', at)) != std::string::npos; ++at) {
    const std::string_view name = placeholder_at(message, at);
    if (!name.empty() &&
        std::find(std::begin(kPlaceholders), std::end(kPlaceholders), name) == std::end(kPlaceholders))
      fail("config", "{}: {{{}}} is not one of {{{}}}", where, name, fmt::join(kPlaceholders, "}, {"));
  }
  for (const char* needed : {"question", "reply_1", "reply_2"})
    if (message.find(fmt::format("{{{}}}", needed)) == std::string::npos)
      fail("config", "{} has no {{{}}}", where, needed);
}

std::string without_line(std::string text, std::string_view line) {
  const size_t at = text.find(line);
  return at == std::string::npos ? text : text.erase(at, line.size());
}

// Cut at a whole character, with an ellipsis that shows the judge that more follows.
std::string cut_text(std::string text, int64_t max_characters, int& num_cut) {
  if (max_characters <= 0 || std::ssize(text) <= max_characters) return text;
  size_t end = 0;
  for (int64_t i = 0; i < max_characters && end < text.size(); ++i) text::next_character(text, end);
  if (end == text.size()) return text;
  ++num_cut;
  return text.substr(0, end) + " \u2026";
}

}  // namespace

const std::string& builtin_tasks_file(const std::string& language) {
  static const std::string english = english_tasks_file(), chinese = chinese_tasks_file();
  if (language == "en") return english;
  if (language == "zh") return chinese;
  fail("label", "there are no prompts in the language \"{}\", expected en or zh", language);
}

JudgePrompts JudgePrompts::builtin(const std::string& language) {
  return parse(builtin_tasks_file(language), "builtin", language);
}

JudgePrompts JudgePrompts::load(const fs::path& tasks_file, const std::string& language) {
  return parse(read_file(tasks_file), tasks_file.string(), language);
}

JudgePrompts JudgePrompts::parse(std::string_view text, const std::string& name,
                                 const std::string& language) {
  JudgePrompts prompts;
  prompts.tasks_ = data::parse_task_points(text, name);
  std::string chosen = language.empty() ? "en" : language;
  if (language.empty()) Config::parse(text, name).get_choice("language", chosen, {"en", "zh"});
  const std::string& base = builtin_tasks_file(chosen);
  prompts.read_template(base, "builtin");
  prompts.take_texts(data::parse_task_points(base, "builtin"));
  prompts.read_template(text, name);
  prompts.take_texts(prompts.tasks_);
  return prompts;
}

void JudgePrompts::read_template(std::string_view text, const std::string& name) {
  Config config = Config::parse(text, name);
  Config table = config.table("template");
  table.get("system", system_);
  table.get("message", message_);
  Config roles = table.table("roles");
  for (const char* role : kRoles) roles.get(role, roles_[role]);
  table.finish();
  check_message(message_, table.name("message"));
}

// The first task that explains a point explains it for tasks that do not.
void JudgePrompts::take_texts(const std::vector<data::TaskPoints>& tasks) {
  for (const data::TaskPoints& task : tasks) {
    for (const auto& [point, title] : task.titles) {
      titles_[{task.name, point}] = title;
      titles_.try_emplace({"", point}, title);
    }
    for (const auto& [point, definition] : task.definitions) {
      definitions_[{task.name, point}] = definition;
      definitions_.try_emplace({"", point}, definition);
    }
  }
}

// A single user turn stands alone; in a conversation every turn is headed by its role.
std::string JudgePrompts::question_text(const data::PreferenceRecord& record) const {
  if (record.is_text) return record.prompt_text;
  if (record.messages.size() == 1 && record.messages[0].role == "user") return record.messages[0].content;
  std::string text;
  for (const text::Message& message : record.messages) {
    const auto role = roles_.find(message.role);
    text += (text.empty() ? "" : "\n\n") + (role == roles_.end() ? message.role : role->second) + ":\n" +
            message.content;
  }
  return text;
}

JudgePrompts::Message JudgePrompts::render(const Question& question, int64_t max_answer_characters) const {
  const auto text_of = [&](const std::map<Key, std::string>& texts, std::string otherwise) {
    for (const std::string& task : {std::string(question.task), std::string()}) {
      const auto found = texts.find({task, std::string(question.point)});
      if (found != texts.end()) return found->second;
    }
    return otherwise;
  };
  std::string plain(question.point);
  std::replace(plain.begin(), plain.end(), '_', ' ');
  Message message;
  const auto reply = [&](size_t answer) {
    return cut_text(data::response_text(question.record.responses[answer]), max_answer_characters,
                    message.num_cut);
  };
  const std::string definition = text_of(definitions_, "");
  message.text = filled(definition.empty() ? without_line(message_, "{definition}\n") : message_,
                        {{"point", text_of(titles_, plain)},
                         {"definition", definition},
                         {"question", question_text(question.record)},
                         {"reply_1", reply(question.first)},
                         {"reply_2", reply(question.second)}});
  return message;
}

}  // namespace dmoerm::label
