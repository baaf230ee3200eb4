// A text taken apart into what the measuring judges count.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::label {

struct TextStatistics {
  explicit TextStatistics(std::string_view text);

  std::string text;  // lower-case (ASCII letters)
  std::vector<std::string>
      words;  // runs of letters, digits and apostrophes, lower-case; bytes above 127 are letters
  std::vector<std::string> numbers;  // "12", "3.5", "1,000" as "1000"
  size_t letters = 0;                // bytes of all words
  size_t sentences = 0;              // ends in . ! ? or a line's end; at least 1 when there is a word
  size_t questions = 0, exclamations = 0;
  size_t names = 0;  // capitalised words that do not begin a sentence
  size_t list_items = 0, headings = 0, code_fences = 0, bold = 0;  // of Markdown
  size_t ordered_items = 0;                                        // list items that begin with a number

  // Words of `list`, and times that a phrase of `list` stands in the text.
  size_t count_words(const std::set<std::string, std::less<>>& list) const;
  size_t count_phrases(const std::vector<std::string>& list) const;
  double per_hundred_words(double count) const;  // 0 without words
};

}  // namespace dmoerm::label
