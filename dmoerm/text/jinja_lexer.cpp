#include "dmoerm/text/jinja_lexer.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "dmoerm/text/jinja_error.h"
#include "dmoerm/text/python_text.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text::jinja {
namespace {

constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*",
                                           "/",  "%",  "~",  "(",  ")",  "[",  "]", "{", "}",
                                           "<",  ">",  "=",  ".",  ":",  "|",  ",", ";"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word(char c) {
  return is_digit(c) || std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80) != 0;
}

// Line ends of any kind become \n, and one at the very end goes.
std::string normalized(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      text += '\n';
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) read_data();
    emit(TokenKind::End, "");
    return std::move(tokens_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    raise("line {}: {}", line_, fmt::format(format, std::forward<Args>(args)...));
  }

  void emit(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  bool follows(std::string_view part) const {
    return std::string_view(source_).substr(at_).starts_with(part);
  }

  void skip_to(size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + at_, source_.begin() + end, '\n'));
    at_ = end;
  }

  void skip_space() {
    const std::string_view rest = std::string_view(source_).substr(at_);
    skip_to(source_.size() - strip(rest, Side::Left).size());
  }

  // Text up to the next tag, with what the tag's sign and lstrip_blocks take from its end.
  void emit_text(size_t end, bool is_print, char sign) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') {
      text = strip(text, Side::Right);
    } else if (sign != '+' && !is_print) {
      const size_t line_end = text.rfind('\n');
      const size_t line = line_end == std::string_view::npos ? 0 : line_end + 1;
      const bool whole_line = line > 0 || at_line_begin_;
      if (whole_line && strip(text.substr(line)).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) emit(TokenKind::Data, std::string(text));
    skip_to(end);
  }

  char sign_at(size_t place) const {
    return place < source_.size() && (source_[place] == '-' || source_[place] == '+') ? source_[place] : 0;
  }

  // Behind a tag that ended with `sign`: all white space, or one line end under trim_blocks.
  void skip_after_tag(char sign, bool is_print) {
    at_line_begin_ = false;
    const size_t begin = at_;
    if (sign == '-') {
      skip_space();
    } else if (!is_print && sign != '+' && follows("\n")) {
      skip_to(at_ + 1);
    }
    at_line_begin_ = at_ > begin && source_[at_ - 1] == '\n';
  }

  void read_data() {
    size_t tag = source_.find('{', at_);
    while (tag != std::string::npos &&
           (tag + 1 == source_.size() ||
            std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos))
      tag = source_.find('{', tag + 1);
    if (tag == std::string::npos) {
      emit(TokenKind::Data, source_.substr(at_));
      return skip_to(source_.size());
    }
    const char kind = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    emit_text(tag, kind == '{', sign);
    skip_to(tag + (sign ? 3 : 2));
    if (kind == '#') return read_comment();
    if (kind == '%' && read_raw()) return;
    emit(kind == '{' ? TokenKind::PrintBegin : TokenKind::BlockBegin, "");
    read_tag(kind == '{');
  }

  void read_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) refuse("a comment has no end, expected \"#}}\"");
    const char sign = end > at_ ? sign_at(end - 1) : 0;
    skip_to(end + 2);
    skip_after_tag(sign, false);
  }

  // Takes `word` and the tag's end off, when a tag holds this alone; its closing sign, 0 for none.
  std::optional<char> read_word_tag(std::string_view word) {
    size_t end = source_.size() - strip(std::string_view(source_).substr(at_), Side::Left).size();
    if (source_.compare(end, word.size(), word) != 0) return std::nullopt;
    end += word.size();
    end = source_.size() - strip(std::string_view(source_).substr(end), Side::Left).size();
    const char sign = sign_at(end);
    if (source_.compare(end + (sign ? 1 : 0), 2, "%}") != 0) return std::nullopt;
    skip_to(end + (sign ? 3 : 2));
    return sign;
  }

  // The text of {% raw %} … {% endraw %}, whatever stands in it.
  bool read_raw() {
    const auto begin_sign = read_word_tag("raw");
    if (!begin_sign) return false;
    if (*begin_sign == '-') skip_space();
    at_line_begin_ = false;
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      const size_t text_begin = at_;
      const int line = line_;
      const char sign = sign_at(tag + 2);
      at_ = tag + (sign ? 3 : 2);
      const auto end_sign = read_word_tag("endraw");
      const size_t end = at_;
      at_ = text_begin;
      line_ = line;
      if (!end_sign) continue;
      emit_text(tag, false, sign);
      skip_to(end);
      skip_after_tag(*end_sign, false);
      return true;
    }
    refuse("\"raw\" has no end, expected \"{{% endraw %}}\"");
  }

  // The tokens of a tag, its end among them.
  void read_tag(bool is_print) {
    const std::string_view end = is_print ? "}}" : "%}";
    std::string open;  // brackets
    for (;;) {
      skip_space();
      if (at_ == source_.size()) refuse("a tag has no end, expected \"{}\"", end);
      if (open.empty()) {
        const char sign = sign_at(at_);
        const bool has_sign = sign == '-' || (sign == '+' && !is_print);
        if (source_.compare(at_ + (has_sign ? 1 : 0), 2, end) == 0) {
          skip_to(at_ + (has_sign ? 3 : 2));
          emit(is_print ? TokenKind::PrintEnd : TokenKind::BlockEnd, "");
          return skip_after_tag(sign, is_print);
        }
      }
      read_token(open);
    }
  }

  void read_token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return read_number();
    if (is_word(c)) return read_name();
    if (c == '"' || c == '\'') return read_string(c);
    for (const std::string_view symbol : kOperators) {
      if (!follows(symbol)) continue;
      check_bracket(c, open);
      emit(TokenKind::Operator, std::string(symbol));
      return skip_to(at_ + symbol.size());
    }
    refuse("unexpected character '{}'", characters_of(std::string_view(source_).substr(at_, 4))[0]);
  }

  void check_bracket(char c, std::string& open) const {
    constexpr std::string_view kOpen = "([{", kClose = ")]}";
    if (const size_t kind = kOpen.find(c); kind != std::string_view::npos) open += kClose[kind];
    if (kClose.find(c) == std::string_view::npos) return;
    if (open.empty()) refuse("unexpected '{}'", c);
    if (open.back() != c) refuse("unexpected '{}', expected '{}'", c, open.back());
    open.pop_back();
  }

  void read_name() {
    size_t end = at_;
    while (end < source_.size() && is_word(source_[end])) ++end;
    emit(TokenKind::Name, source_.substr(at_, end - at_));
    skip_to(end);
  }

  size_t digits_end(size_t place) const {
    while (place < source_.size() &&
           (is_digit(source_[place]) ||
            (source_[place] == '_' && place + 1 < source_.size() && is_digit(source_[place + 1]))))
      ++place;
    return place;
  }

  bool digit_at(size_t place) const { return place < source_.size() && is_digit(source_[place]); }

  void read_number() {
    size_t end = digits_end(at_);
    bool is_float = false;
    if (at_ == 0 || source_[at_ - 1] != '.') {
      if (end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
        end = digits_end(end + 1);
        is_float = true;
      }
      if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
        const size_t exponent = end + 1 + (sign_at(end + 1) ? 1 : 0);
        if (digit_at(exponent)) {
          end = digits_end(exponent);
          is_float = true;
        }
      }
    }
    std::string digits = source_.substr(at_, end - at_);
    std::erase(digits, '_');
    emit(is_float ? TokenKind::Float : TokenKind::Integer, std::move(digits));
    skip_to(end);
  }

  void read_string(char quote) {
    std::string text;
    size_t at = at_ + 1;
    while (at < source_.size() && source_[at] != quote) {
      if (source_[at] == '\\' && at + 1 < source_.size()) {
        read_escape(at, text);
      } else {
        text += source_[at++];
      }
    }
    if (at == source_.size()) refuse("a string has no end, expected {}", quote);
    emit(TokenKind::String, std::move(text));
    skip_to(at + 1);
  }

  // Python's escapes; `at` stands on the backslash.
  void read_escape(size_t& at, std::string& text) const {
    const char kind = source_[at + 1];
    constexpr std::string_view kNames = "\\'\"abfnrtv\n", kValues = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t simple = kNames.find(kind); simple != std::string_view::npos) {
      at += 2;
      if (simple < kValues.size()) text += kValues[simple];  // a line end behind a backslash is nothing
    } else if (kind == 'x' || kind == 'u' || kind == 'U') {
      const int length = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
      append_code(at + 2, length, 16, text);
      at += 2 + length;
    } else if (kind >= '0' && kind <= '7') {
      int length = 1;
      while (length < 3 && at + 1 + length < source_.size() && source_[at + 1 + length] >= '0' &&
             source_[at + 1 + length] <= '7')
        ++length;
      append_code(at + 1, length, 8, text);
      at += 1 + length;
    } else if (kind == 'N') {
      raise_unsupported("line {}: characters by name, as \"\\N{{…}}\"", line_);
    } else {
      text += source_[at++];  // an unknown escape stands for itself
    }
  }

  void append_code(size_t begin, int length, int base, std::string& text) const {
    char32_t code = 0;
    for (int i = 0; i < length; ++i) {
      const char c = begin + i < source_.size() ? source_[begin + i] : ' ';
      if (!std::isxdigit(static_cast<unsigned char>(c))) refuse("a string holds an escape that is cut short");
      code = code * base + (is_digit(c) ? c - '0' : std::tolower(c) - 'a' + 10);
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      refuse("a string holds the escape of U+{:04X}, which is no character", static_cast<uint32_t>(code));
    append_character(code, text);
  }

  const std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool at_line_begin_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (source.size() > kMaxSource)
    raise("the template has {} bytes, expected at most {}", source.size(), kMaxSource);
  return Lexer(source).run();
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::End:
      return "the template's end";
    case TokenKind::BlockEnd:
      return "'%}'";
    case TokenKind::PrintEnd:
      return "'}}'";
    default:
      return "'" + token.text + "'";
  }
}

}  // namespace dmoerm::text::jinja
