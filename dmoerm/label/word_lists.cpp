#include "dmoerm/label/word_lists.h"

namespace dmoerm::label {

const WordSet& stop_words() {
  static const WordSet words = {
      "a",     "about", "after", "all",   "also",  "am",   "an",     "and",   "any",    "are",  "as",
      "at",    "be",    "been",  "but",   "by",    "can",  "could",  "did",   "do",     "does", "for",
      "from",  "get",   "had",   "has",   "have",  "he",   "her",    "here",  "him",    "his",  "how",
      "i",     "i'm",   "if",    "in",    "into",  "is",   "it",     "it's",  "its",    "just", "like",
      "made",  "make",  "may",   "me",    "more",  "most", "my",     "no",    "not",    "of",   "on",
      "one",   "only",  "or",    "other", "our",   "out",  "please", "she",   "should", "so",   "some",
      "such",  "than",  "that",  "the",   "their", "them", "then",   "there", "these",  "they", "this",
      "those", "to",    "up",    "us",    "use",   "very", "was",    "we",    "were",   "what", "when",
      "where", "which", "who",   "why",   "will",  "with", "would",  "you",   "your"};
  return words;
}

const WordSet& positive_words() {
  static const WordSet words = {
      "amazing",   "beautiful", "best",      "better",    "brave",      "bright",   "calm",      "care",
      "celebrate", "cheerful",  "comfort",   "delight",   "delightful", "enjoy",    "enjoyable", "excellent",
      "excited",   "exciting",  "fantastic", "fun",       "gentle",     "glad",     "good",      "grateful",
      "great",     "happiness", "happy",     "hope",      "hopeful",    "joy",      "kind",      "laugh",
      "love",      "lovely",    "nice",      "peace",     "perfect",    "pleasant", "pleased",   "pleasure",
      "positive",  "pride",     "proud",     "rewarding", "safe",       "smile",    "strong",    "succeed",
      "success",   "thankful",  "thrilled",  "warm",      "welcome",    "wonderful"};
  return words;
}

const WordSet& negative_words() {
  static const WordSet words = {
      "afraid",    "angry",    "annoying", "anxious",  "awful",     "bad",        "broken",    "cruel",
      "cry",       "damage",   "dark",     "death",    "depressed", "despair",    "difficult", "disappointed",
      "dreadful",  "evil",     "fail",     "failure",  "fear",      "frustrated", "grief",     "guilt",
      "guilty",    "hate",     "hopeless", "horrible", "hurt",      "lonely",     "loss",      "mean",
      "miserable", "negative", "nervous",  "pain",     "painful",   "poor",       "regret",    "sad",
      "sadness",   "scared",   "shame",    "sick",     "sorrow",    "stress",     "stressed",  "struggle",
      "suffer",    "terrible", "tired",    "tragic",   "ugly",      "unhappy",    "upset",     "weak",
      "worried",   "worry",    "worse",    "worst"};
  return words;
}

const WordSet& empathy_words() {
  static const WordSet words = {
      "acknowledge", "alone",      "appreciate",     "comfort",       "comforting", "compassion", "emotion",
      "emotions",    "feel",       "feeling",        "feelings",      "heart",      "hear",       "heartfelt",
      "listen",      "listening",  "matter",         "matters",       "patience",   "patient",    "relate",
      "share",       "sharing",    "sorry",          "support",       "supported",  "supportive", "together",
      "tough",       "understand", "understandable", "understanding", "valid",      "validate"};
  return words;
}

const WordSet& hedge_words() {
  static const WordSet words = {
      "apparently", "approximately", "arguably",    "assume",     "could",    "depending", "depends",
      "generally",  "guess",         "likely",      "may",        "maybe",    "might",     "perhaps",
      "possible",   "possibly",      "potentially", "presumably", "probably", "roughly",   "seem",
      "seems",      "somewhat",      "sometimes",   "suppose",    "tend",     "typically", "uncertain",
      "unclear",    "unsure",        "usually"};
  return words;
}

const WordSet& connectives() {
  static const WordSet words = {
      "accordingly", "additionally", "although",    "because",      "besides", "consequently", "finally",
      "first",       "firstly",      "furthermore", "hence",        "however", "instead",      "lastly",
      "likewise",    "meanwhile",    "moreover",    "nevertheless", "next",    "otherwise",    "second",
      "secondly",    "similarly",    "since",       "still",        "then",    "therefore",    "third",
      "thirdly",     "though",       "thus",        "unless",       "whereas", "while",        "yet"};
  return words;
}

const WordSet& caution_words() {
  static const WordSet words = {
      "abuse",       "authorities", "avoid",    "careful",   "caution",   "consent",        "consequences",
      "consult",     "counselor",   "crime",    "danger",    "dangerous", "discrimination", "emergency",
      "ethical",     "ethics",      "harm",     "harmful",   "helpline",  "hotline",        "illegal",
      "law",         "laws",        "legal",    "offensive", "privacy",   "professional",   "respect",
      "responsible", "risk",        "risks",    "safe",      "safety",    "therapist",      "unethical",
      "unsafe",      "violate",     "violence", "warning"};
  return words;
}

const WordSet& courtesy_words() {
  static const WordSet words = {"apologies", "apologize", "certainly", "glad",   "gladly", "grateful",
                                "happy",     "hello",     "hi",        "kindly", "please", "pleasure",
                                "sorry",     "sure",      "thank",     "thanks", "welcome"};
  return words;
}

const std::vector<std::string>& refusal_phrases() {
  static const std::vector<std::string> phrases = {
      "i can't",          "i cannot",        "i can not",        "i am unable",   "i'm unable",
      "i am not able",    "i'm not able",    "i won't",          "i will not",    "i must decline",
      "i'm sorry, but",   "i am sorry, but", "i apologize, but", "as an ai",      "not comfortable",
      "unable to assist", "unable to help",  "can't assist",     "cannot assist", "can't help with",
      "cannot help with", "cannot provide",  "can't provide"};
  return phrases;
}

const std::vector<std::string>& offer_phrases() {
  static const std::vector<std::string> phrases = {
      "let me know",    "would you like", "feel free",  "if you'd like", "if you would like", "do you want",
      "happy to help",  "shall we",       "i can also", "next step",     "i recommend",       "i suggest",
      "you could also", "you might also", "how about",  "consider "};
  return phrases;
}

}  // namespace dmoerm::label
