// What a judge that reads is asked: the DMoERM paper's zero-shot prompt as a template, and each point's title
// and definition. Chinese and English are built in; a tasks file may bring its own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dmoerm/data/task_points.h"
#include "dmoerm/label/judge.h"

namespace dmoerm::label {

// The tasks file that is built in: the paper's five tasks with 27 points and their definitions, and the
// template. Error for a language other than "en" and "zh".
const std::string& builtin_tasks_file(const std::string& language);

class JudgePrompts {
 public:
  // `tasks_file`: TOML as builtin_tasks_file() shows it. What it lacks (the template, the title or definition
  // of a point that the paper has) is taken from the built-in file of `language`, which is the file's own
  // `language`, else English, when it is empty.
  static JudgePrompts load(const std::filesystem::path& tasks_file, const std::string& language = "");
  static JudgePrompts builtin(const std::string& language);
  static JudgePrompts parse(std::string_view text, const std::string& name, const std::string& language);

  const std::vector<data::TaskPoints>& tasks() const { return tasks_; }
  const std::string& system() const { return system_; }  // a message before; "" for none

  struct Message {
    std::string text;
    int num_cut = 0;  // replies that were cut
  };
  // The last message: the question, whole, and both replies, each cut to so many characters (0: whole).
  Message render(const Question& question, int64_t max_answer_characters) const;

 private:
  void read_template(std::string_view text, const std::string& name);
  void take_texts(const std::vector<data::TaskPoints>& tasks);
  std::string question_text(const data::PreferenceRecord& record) const;

  using Key = std::pair<std::string, std::string>;  // task and point; task "" for any
  std::vector<data::TaskPoints> tasks_;
  std::string system_, message_;
  std::map<std::string, std::string> roles_;  // how turns are headed
  std::map<Key, std::string> titles_, definitions_;
};

}  // namespace dmoerm::label
