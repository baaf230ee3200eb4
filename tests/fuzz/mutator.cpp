#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <cctype>

#include "dmoerm/core/json.h"

namespace dmoerm::fuzz {
namespace {

// What parsers stumble over: the ends of number ranges, JSON's marks, names of the formats, bad UTF-8.
constexpr const char* kWords[] = {"0",
                                  "-1",
                                  "2147483648",
                                  "99999999999999999999",
                                  "1e400",
                                  "null",
                                  "true",
                                  "[]",
                                  "{}",
                                  "\"\"",
                                  "\"",
                                  "\\ud800",
                                  "\\u0000",
                                  "\xff",
                                  "\xed\xa0\x80",
                                  "[[[[[[[[",
                                  "{\"a\":",
                                  ",",
                                  ":",
                                  "▁",
                                  "<0x41>",
                                  "Sequence",
                                  "Split",
                                  "(?i:(a+)+$)",
                                  "\n",
                                  " ",
                                  "\x80\x80\x80\x80\x08",
                                  "\x0a\x7f"};

std::string random_part(const std::string& bytes, RandomStream& random) {
  if (bytes.empty()) return "";
  const size_t begin = random.below(bytes.size());
  return bytes.substr(begin, 1 + random.below(random.chance(0.1) ? 2000 : 30));
}

// Another number in place of one that stands there.
void change_number(std::string& bytes, size_t at, RandomStream& random) {
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  const auto begin = std::find_if(bytes.begin() + at, bytes.end(), is_digit);
  const auto end = std::find_if_not(begin, bytes.end(), is_digit);
  if (begin == bytes.end()) return;
  const uint64_t number = random.chance(0.5) ? random.below(2000) : random.next() >> random.below(64);
  bytes.replace(begin, end, std::to_string(number));
}

void change(std::string& bytes, const std::vector<std::string>& others, RandomStream& random) {
  if (bytes.empty()) bytes = random_part(others[random.below(others.size())], random);
  if (bytes.empty()) return;
  const size_t at = random.below(bytes.size());
  const std::string word = kWords[random.below(std::size(kWords))];
  switch (random.below(10)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << random.below(8));
      break;
    case 1:
      bytes[at] = static_cast<char>(random.below(256));
      break;
    case 2:
      change_number(bytes, at, random);
      break;
    case 3:
      bytes.insert(at, word);
      break;
    case 4:
      bytes.replace(at, std::min(word.size(), bytes.size() - at), word);
      break;
    case 5:
      bytes.erase(at, 1 + random.below(random.chance(0.2) ? bytes.size() : 20));
      break;
    case 6:
      bytes.insert(at, random_part(bytes, random));
      break;
    case 7:
      bytes.insert(at, random_part(others[random.below(others.size())], random));
      break;
    case 8:
      bytes.resize(at);
      break;
    default:
      for (uint64_t i = random.below(8); i > 0 && at + i < bytes.size(); --i)
        std::swap(bytes[at], bytes[at + i]);
  }
}

Json random_value(RandomStream& random) {
  const std::string word = kWords[random.below(std::size(kWords))];
  switch (random.below(6)) {
    case 0:
      return random.chance(0.5) ? static_cast<int64_t>(random.next() >> random.below(64)) : -1;
    case 1:
      return random.uniform();
    case 2:
      return random.chance(0.5);
    case 3:
      return Json::parse(word, nullptr, false).is_discarded() ? Json("x") : Json::parse(word);
    case 4:
      return Json();
    default:
      return Json::array({"", Json::object()});
  }
}

// A value somewhere inside; long lists are entered, but seldom.
Json& random_place(Json& json, RandomStream& random) {
  Json* place = &json;
  while (place->is_structured() && !place->empty() && !random.chance(0.15)) {
    auto item = place->begin();
    std::advance(item, static_cast<int64_t>(random.below(place->size())));
    place = &*item;
  }
  return *place;
}

std::string mutate_json(Json json, RandomStream& random) {
  for (uint64_t i = 1 + random.below(2); i > 0; --i) {
    Json& place = random_place(json, random);
    const Json other = random_place(json, random);
    switch (random.below(3)) {
      case 0:
        place = random_value(random);
        break;
      case 1:
        place = other;
        break;
      default:
        if (place.is_array() && !place.empty()) place.erase(random.below(place.size()));
        if (place.is_object() && !place.empty()) place.erase(place.begin());
    }
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string mutate(std::string bytes, const std::vector<std::string>& others, RandomStream& random) {
  if (bytes.starts_with('{') && random.chance(0.7)) {
    const Json json = Json::parse(bytes, nullptr, false);
    if (!json.is_discarded()) bytes = mutate_json(json, random);
    if (random.chance(0.9)) return bytes;
  }
  for (uint64_t i = 1 + random.below(4); i > 0; --i) change(bytes, others, random);
  return bytes;
}

}  // namespace dmoerm::fuzz
