// Small English word lists of our own for the measuring judges.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace dmoerm::label {

using WordSet = std::set<std::string, std::less<>>;

const WordSet& stop_words();
const WordSet& positive_words();
const WordSet& negative_words();
const WordSet& empathy_words();
const WordSet& hedge_words();
const WordSet& connectives();
const WordSet& caution_words();
const WordSet& courtesy_words();
const std::vector<std::string>& refusal_phrases();
const std::vector<std::string>& offer_phrases();

}  // namespace dmoerm::label
