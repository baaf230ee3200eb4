#include "dmoerm/data/world_words.h"

#include <algorithm>
#include <unordered_map>

namespace dmoerm::data {
namespace {

const std::array<std::vector<std::string>, kNumWordClasses>& classes() {
  static const std::array<std::vector<std::string>, kNumWordClasses> words = {{
      {"river", "garden", "train", "piano", "market", "island", "bridge", "forest", "castle", "kitchen",
       "lantern", "harbor", "meadow", "engine", "mirror", "tower"},                            // Noun
      {"red", "blue", "green", "white", "black", "brown", "gray", "pink"},                     // Color
      {"sad", "happy", "angry", "tired", "lonely", "proud", "scared", "calm"},                 // Mood
      {"friend", "sister", "neighbor", "teacher", "cousin", "partner", "uncle", "rival"},      // Relation
      {"pilot", "wizard", "detective", "farmer", "captain", "nurse", "knight", "baker"},       // Role
      {"funny", "formal", "poetic", "simple", "dramatic", "gentle", "modern", "ancient"},      // Style
      {"golden", "misty", "glowing", "silver", "velvet", "blazing", "crystal", "shimmering"},  // Vivid
      {"fine", "usual", "common", "normal", "plain", "regular"},                               // Plain
      {"wow", "alas", "hooray", "oh", "ouch", "yay"},                                          // Emotion
      {"maybe", "perhaps", "possibly", "probably", "apparently", "somewhat"},                  // Hedge
      {"um", "well", "anyway", "basically", "honestly", "literally"},                          // Filler
      {"studies", "data", "experts", "records", "tests", "surveys"},                           // Evidence
      {"because", "therefore", "since", "thus", "hence", "moreover"},                          // Connective
      {"first", "second", "next", "finally"},                                                  // Step
      {"critics", "fans", "parents", "doctors", "sailors", "students", "artists", "lawyers"},  // Viewpoint
      {"?"},                                                                                   // Question
  }};
  return words;
}

}  // namespace

const std::vector<std::string>& words_of(WordClass kind) {
  return classes().at(static_cast<size_t>(kind));
}

WordClass class_of(std::string_view word) {
  static const auto index = [] {
    std::unordered_map<std::string_view, WordClass> result;
    for (size_t i = 0; i < kNumWordClasses; ++i)
      for (const std::string& item : classes()[i]) result.emplace(item, static_cast<WordClass>(i));
    return result;
  }();
  const auto found = index.find(word);
  return found == index.end() ? WordClass::Other : found->second;
}

const std::vector<std::string>& cue_words(size_t task) {
  static const std::vector<std::vector<std::string>> words = {
      {"act", "pretend", "perform", "portray", "imagine", "improvise", "impersonate", "play"},  // roleplay
      {"chat", "gossip", "talk", "banter", "ramble", "whisper", "joke", "mingle"},              // chat
      {"judge", "review", "debate", "argue", "weigh", "rate", "reflect", "advise"},             // subj_qa
      {"answer", "state", "identify", "verify", "measure", "define", "report", "inform"},       // obj_qa
      {"write", "compose", "draft", "rhyme", "narrate", "sketch", "invent", "sing"},            // text
  };
  return words.at(task);
}

const std::vector<SharedCue>& shared_cues() {
  static const std::vector<SharedCue> cues = {
      {"converse", 0, 1}, {"discuss", 1, 2}, {"explain", 2, 3}, {"describe", 3, 4}, {"dream", 4, 0}};
  return cues;
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    begin = text.find_first_not_of(" \n\t\r", begin);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(text.find_first_of(" \n\t\r", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

AnswerCounts count_words(std::string_view prompt, std::string_view answer) {
  const auto holds = [](const std::vector<std::string_view>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  const std::vector<std::string_view> asked = split_words(prompt);
  AnswerCounts counts;
  std::vector<std::string_view> nouns, viewpoints;
  for (const std::string_view word : split_words(answer)) {
    const WordClass kind = class_of(word);
    if (kind == WordClass::Other) continue;
    ++counts.all[static_cast<size_t>(kind)];
    if (is_matched_class(kind) && holds(asked, word)) ++counts.matched[static_cast<size_t>(kind)];
    if (kind == WordClass::Noun && !holds(nouns, word)) nouns.push_back(word);
    if (kind == WordClass::Viewpoint && !holds(viewpoints, word)) viewpoints.push_back(word);
  }
  counts.distinct_nouns = static_cast<int>(nouns.size());
  counts.distinct_viewpoints = static_cast<int>(viewpoints.size());
  return counts;
}

}  // namespace dmoerm::data
