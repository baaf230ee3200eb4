// Scores with a reward model from another program: embed MODEL < records.jsonl prints the rewards of each
// record.
#include <iostream>

#include "dmoerm/data/reader.h"
#include "dmoerm/reward/scorer.h"

int main(int argc, char** argv) try {
  if (argc != 2) throw dmoerm::Error("usage: embed MODEL < records.jsonl");
  auto scorer = dmoerm::reward::Scorer::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const auto record = dmoerm::data::parse_record(line, {.require_ranks = false});
    const auto score = scorer.score({&record, 1}).front();
    if (!score.error.empty()) throw dmoerm::Error(score.error);
    for (const double reward : score.rewards) std::cout << reward << '\n';
  }
} catch (const std::exception& error) {
  std::cerr << "embed: " << error.what() << '\n';
  return 1;
}
