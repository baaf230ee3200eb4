#include "dmoerm/label/text_statistics.h"

#include <algorithm>
#include <cctype>

namespace dmoerm::label {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_word_byte(char c) {
  return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || c == '\'' ||
         static_cast<unsigned char>(c) >= 0x80;
}
char lower(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

// "1,000" -> "1000"; the separator must stand between digits.
std::string read_number(std::string_view text, size_t& at) {
  std::string number;
  for (; at < text.size(); ++at) {
    const bool inner = (text[at] == '.' || text[at] == ',') && at + 1 < text.size() && is_digit(text[at + 1]);
    if (is_digit(text[at]) || (inner && text[at] == '.'))
      number += text[at];
    else if (!inner)
      break;
  }
  return number;
}

}  // namespace

TextStatistics::TextStatistics(std::string_view source) {
  text.resize(source.size());
  std::transform(source.begin(), source.end(), text.begin(), lower);

  bool sentence_open = false;
  for (size_t at = 0; at < source.size();) {
    const char c = source[at];
    if (is_word_byte(c)) {
      const size_t begin = at;
      while (at < source.size() && is_word_byte(source[at])) ++at;
      words.push_back(text.substr(begin, at - begin));
      letters += at - begin;
      names += sentence_open && is_upper(c);
      sentence_open |= !is_digit(c);  // "2) Pay": the sentence begins with "Pay"
      continue;
    }
    const bool decimal_point =
        c == '.' && at > 0 && at + 1 < source.size() && is_digit(source[at - 1]) && is_digit(source[at + 1]);
    questions += c == '?';
    exclamations += c == '!';
    if ((c == '.' || c == '!' || c == '?' || c == '\n') && sentence_open && !decimal_point) {
      ++sentences;
      sentence_open = false;
    }
    ++at;
  }
  sentences += sentence_open;
  if (sentences == 0 && !words.empty()) sentences = 1;

  for (size_t at = 0; at < text.size();) {
    if (is_digit(text[at]))
      numbers.push_back(read_number(text, at));
    else
      ++at;
  }
  for (size_t at = text.find("**"); at != std::string::npos; at = text.find("**", at + 2)) ++bold;
  bold /= 2;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    size_t at = std::min(text.find_first_not_of(" \t", begin), end);
    const std::string_view line(text.data() + at, end - at);
    const size_t digits = std::min(line.find_first_not_of("0123456789"), line.size());
    const bool ordered = digits > 0 && digits < line.size() && (line[digits] == '.' || line[digits] == ')');
    ordered_items += ordered;
    list_items += ordered || line.starts_with("- ") || line.starts_with("* ") || line.starts_with("• ");
    headings += line.starts_with("#");
    code_fences += line.starts_with("```");
    begin = end + 1;
  }
}

size_t TextStatistics::count_words(const std::set<std::string, std::less<>>& list) const {
  return std::count_if(words.begin(), words.end(),
                       [&](const std::string& word) { return list.count(word) > 0; });
}

size_t TextStatistics::count_phrases(const std::vector<std::string>& list) const {
  size_t count = 0;
  for (const std::string& phrase : list)
    for (size_t at = text.find(phrase); at != std::string::npos; at = text.find(phrase, at + phrase.size()))
      ++count;
  return count;
}

double TextStatistics::per_hundred_words(double count) const {
  return words.empty() ? 0 : 100.0 * count / static_cast<double>(words.size());
}

}  // namespace dmoerm::label
