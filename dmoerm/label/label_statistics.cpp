#include "dmoerm/label/label_statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/data/capability_labels.h"

namespace dmoerm::label {
namespace {

using data::CapabilityLabel;

constexpr int64_t kEnough = 30;     // labels below which nothing is said of a point
constexpr double kSame = 0.8;       // |correlation| of points that say the same
constexpr double kFavoured = 0.65;  // share of "first" of a judge that favours a place
constexpr double kDeviations = 2;   // above what a coin would give

// A later label of the same key replaces an earlier one.
std::vector<CapabilityLabel> read_latest(const StatisticsOptions& options) {
  std::vector<CapabilityLabel> labels;
  std::unordered_map<std::string, size_t> position;
  for (const fs::path& path : options.labels) {
    LineReader lines(path);
    for (std::string line; lines.next(line);) {
      if (line.empty()) continue;
      const std::string where = fmt::format("{}:{}", path.string(), lines.line_number());
      CapabilityLabel label = data::label_from_json(parse_json(line, where), where);
      if (!options.judge.empty() && label.judge != options.judge) continue;
      const auto [known, added] = position.try_emplace(label_key(label), labels.size());
      if (added)
        labels.push_back(std::move(label));
      else
        labels[known->second] = std::move(label);
    }
  }
  if (labels.empty())
    fail("labels", "there are no labels{}", options.judge.empty() ? "" : " of the judge " + options.judge);
  return labels;
}

struct Ranks {
  std::string hash;
  std::vector<int64_t> ranks;
};

std::unordered_map<std::string, Ranks> read_ranks(const StatisticsOptions& options) {
  std::unordered_map<std::string, Ranks> ranks;
  data::PreferenceReader reader(options.data, options.reader);
  for (data::PreferenceRecord record; reader.next(record);)
    ranks[record.id] = {data::answers_hash_text(record), record.ranks};
  return ranks;
}

class Statistics {
 public:
  explicit Statistics(const StatisticsOptions& options)
      : labels_(read_latest(options)), ranks_(read_ranks(options)) {
    result_.has_ranks = !options.data.empty();
  }

  LabelStatistics measure() {
    count();
    compare_points();
    for (PointStatistics& point : result_.points) find_nearest(point);
    warn_of_place();
    for (const PointStatistics& point : result_.points) warn_of(point);
    for (const PointStatistics& point : result_.points) warn_of_repetition(point);
    return std::move(result_);
  }

 private:
  std::span<const int64_t> ranks_of(const CapabilityLabel& label) const {
    const auto found = ranks_.find(label.id);
    if (found == ranks_.end()) return {};
    if (found->second.hash != label.hash)
      fail("labels", "record {}: the labels were made for other answers (hash {}, now {})", label.id,
           label.hash, found->second.hash);
    const std::vector<int64_t>& ranks = found->second.ranks;
    if (!ranks.empty() && std::max(label.a, label.b) >= std::ssize(ranks))
      fail("labels", "record {}: a label is about answer {}, the record has {}", label.id,
           std::max(label.a, label.b), ranks.size());
    return ranks;
  }

  PointStatistics& point_of(const CapabilityLabel& label) {
    const auto [known, added] = position_.try_emplace({label.task, label.point}, result_.points.size());
    if (added) result_.points.push_back({.task = label.task, .point = label.point});
    return result_.points[known->second];
  }

  void count() {
    std::set<std::string> judges;
    for (const CapabilityLabel& label : labels_) {
      const std::span<const int64_t> ranks = ranks_of(label);
      point_of(label).counts.add(label, ranks);
      result_.total.add(label, ranks);
      judges.insert(label.judge);
    }
    result_.judges.assign(judges.begin(), judges.end());
  }

  // Labels of one judge about the same two answers stand together when sorted.
  void compare_points() {
    std::erase_if(labels_, [](const CapabilityLabel& label) { return !label.kept(); });
    const auto pair_key = [](const CapabilityLabel& label) {
      return std::tie(label.judge, label.task, label.id, label.a, label.b);
    };
    std::stable_sort(labels_.begin(), labels_.end(), [&](const CapabilityLabel& x, const CapabilityLabel& y) {
      return pair_key(x) < pair_key(y);
    });
    std::map<std::pair<size_t, size_t>, PointPair> pairs;
    for (size_t begin = 0, end = 0; begin < labels_.size(); begin = end) {
      while (end < labels_.size() && pair_key(labels_[end]) == pair_key(labels_[begin])) ++end;
      for (size_t i = begin; i < end; ++i)
        for (size_t j = begin; j < end; ++j) add(labels_[i], labels_[j], pairs);
    }
    for (auto& [points, pair] : pairs) result_.pairs.push_back(std::move(pair));
  }

  void add(const CapabilityLabel& x, const CapabilityLabel& y,
           std::map<std::pair<size_t, size_t>, PointPair>& pairs) {
    const size_t first = position_.at({x.task, x.point}), second = position_.at({y.task, y.point});
    if (first >= second) return;
    PointPair& pair = pairs[{first, second}];
    if (pair.both == 0) pair = {.task = x.task, .first = x.point, .second = y.point};
    ++pair.both;
    pair.same += x.winner() == y.winner();
  }

  void find_nearest(PointStatistics& point) {
    for (const PointPair& pair : result_.pairs) {
      if (pair.task != point.task || (pair.first != point.point && pair.second != point.point)) continue;
      if (!point.nearest.empty() && std::abs(pair.correlation()) <= std::abs(point.correlation)) continue;
      point.correlation = pair.correlation();
      point.nearest = pair.first == point.point ? pair.second : pair.first;
    }
  }

  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) {
    result_.warnings.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void warn_of_place() {
    const LabelCounts& all = result_.total;
    const double share =
        static_cast<double>(all.first) / std::max<double>(1, static_cast<double>(all.answers));
    if (all.answers >= kEnough && std::max(share, 1 - share) > kFavoured)
      warn("the judge favours a place: {} of its answers name the first reply",
           share_text(all.first, all.answers));
  }

  // A coin that names the first reply with the judge's share f keeps 2 f (1 - f) of its labels.
  void warn_of(const PointStatistics& point) {
    const LabelCounts& counts = point.counts;
    const std::string name = point.task + "/" + point.point;
    if (counts.kept < kEnough)
      return warn("{}: only {} labels are kept: too few to train an expert", name, counts.kept);
    const auto n = static_cast<double>(counts.kept + counts.because("disagree"));
    const double f =
        static_cast<double>(counts.first) / std::max<double>(1, static_cast<double>(counts.answers));
    const double coin = 2 * f * (1 - f);
    if (static_cast<double>(counts.kept) <= n * coin + kDeviations * std::sqrt(n * coin * (1 - coin)))
      warn("{}: adds nothing: a coin would keep {:.1f}% of its answers, the judge keeps {:.1f}%", name,
           100 * coin, 100 * static_cast<double>(counts.kept) / n);
  }

  // Of the points before it, the one that it repeats most.
  void warn_of_repetition(const PointStatistics& point) {
    const PointPair* most = nullptr;
    for (const PointPair& pair : result_.pairs) {
      if (pair.task != point.task || pair.second != point.point || pair.both < kEnough) continue;
      if (most == nullptr || std::abs(pair.correlation()) > std::abs(most->correlation())) most = &pair;
    }
    if (most == nullptr || std::abs(most->correlation()) < kSame) return;
    warn("{}/{}: adds nothing to {}: it names the {} reply in {:.1f}% of {} pairs (correlation {:.2f})",
         point.task, point.point, most->first, most->correlation() > 0 ? "same" : "other",
         100 * std::max(most->agreement(), 1 - most->agreement()), most->both, most->correlation());
  }

  std::vector<CapabilityLabel> labels_;
  std::unordered_map<std::string, Ranks> ranks_;
  std::map<std::pair<std::string, std::string>, size_t> position_;
  LabelStatistics result_;
};

}  // namespace

LabelStatistics label_statistics(const StatisticsOptions& options) {
  return Statistics(options).measure();
}

}  // namespace dmoerm::label
