#include "dmoerm/label/verdict_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "dmoerm/text/utf8.h"

namespace dmoerm::label {
namespace {

using Found = std::optional<Verdict>;

constexpr size_t kShownCharacters = 80;
constexpr size_t kLongestWord = 16;  // bytes in brackets
constexpr std::string_view kAroundWord = " \t\r\n.*\"'!";
constexpr std::string_view kThought = "<think>", kThoughtEnd = "</think>";
// Full-width digits are how some Chinese answers write them.
constexpr std::array<std::pair<std::string_view, Choice>, 4> kDigits = {
    {{"1", Choice::First}, {"2", Choice::Second}, {"\uff11", Choice::First}, {"\uff12", Choice::Second}}};

Verdict unparsed(std::string why) {
  return {Choice::Unparsed, std::move(why)};
}

std::string_view trimmed(std::string_view text, std::string_view cut = " \t\r\n") {
  const size_t begin = text.find_first_not_of(cut);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(cut) - begin + 1);
}

std::optional<Choice> choice_named(std::string_view word) {
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "1" || lower == "a") return Choice::First;
  if (lower == "2" || lower == "b") return Choice::Second;
  if (lower == "c" || lower == "tie" || lower == "\u5e73\u5c40") return Choice::Tie;
  return std::nullopt;
}

// The beginning of a text on one line.
std::string shown(std::string_view text) {
  std::string line = text::repair_utf8(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  size_t end = 0;
  for (size_t i = 0; i < kShownCharacters && end < line.size(); ++i) text::next_character(line, end);
  return end < line.size() ? line.substr(0, end) + "\u2026" : line;
}

Found json_form(std::string_view answer) {
  const size_t begin = answer.find('{'), end = answer.rfind('}');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return std::nullopt;
  Json json;
  try {
    json = parse_json(answer.substr(begin, end - begin + 1), "answer");
  } catch (const Error&) {
    return std::nullopt;
  }
  if (!json.is_object()) return std::nullopt;
  const auto winner = json.find("winner");
  if (winner == json.end()) return std::nullopt;
  const std::string word = winner->is_string() ? winner->get<std::string>() : winner->dump();
  if (const auto choice = choice_named(trimmed(word))) return Verdict{*choice};
  return unparsed("\"winner\" is " + shown(winner->dump()) + ", expected 1, 2 or \"tie\"");
}

Found bracket_form(std::string_view answer) {
  for (size_t end = answer.size(); end != std::string_view::npos && end > 0;) {
    const size_t begin = answer.rfind("[[", end - 1);
    if (begin == std::string_view::npos) return std::nullopt;
    const std::string_view inside = answer.substr(begin + 2, kLongestWord);
    const size_t close = inside.find("]]");
    if (close != std::string_view::npos)
      if (const auto choice = choice_named(trimmed(inside.substr(0, close)))) return Verdict{*choice};
    end = begin;
  }
  return std::nullopt;
}

Found first_digit(std::string_view answer) {
  size_t first = std::string_view::npos;
  Found found;
  for (const auto& [digit, choice] : kDigits) {
    const size_t at = answer.find(digit);
    if (at >= first) continue;
    first = at;
    found = Verdict{choice};
  }
  return found;
}

// In an answer that was cut, a digit further in can belong to what was to be said before the verdict.
Found leading_digit(std::string_view answer) {
  answer = trimmed(answer, kAroundWord);
  for (const auto& [digit, choice] : kDigits)
    if (answer.starts_with(digit)) return Verdict{choice};
  return std::nullopt;
}

Found single_word(std::string_view answer) {
  if (const auto choice = choice_named(trimmed(answer, kAroundWord))) return Verdict{*choice};
  return std::nullopt;
}

}  // namespace

Verdict parse_verdict(std::string_view answer, bool is_cut) {
  // Where the chat template opens the thought, the answer holds its end only.
  const size_t end = answer.rfind(kThoughtEnd);
  if (end != std::string_view::npos) answer.remove_prefix(end + kThoughtEnd.size());
  answer = trimmed(answer);
  if (answer.starts_with(kThought)) return unparsed("the answer ends inside <think>");
  if (answer.empty()) return unparsed("the answer is empty");
  for (const auto form : {json_form, bracket_form, is_cut ? leading_digit : first_digit, single_word})
    if (Found found = form(answer)) return *found;
  return unparsed("the answer names no reply: \"" + shown(answer) + "\"");
}

}  // namespace dmoerm::label
