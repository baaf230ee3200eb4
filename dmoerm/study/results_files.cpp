// A study's results as JSON and CSV.
#include <cmath>

#include "dmoerm/study/study_results.h"

namespace dmoerm::study {
namespace {

Json finite_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json set_json(const SetMeasures& measures) {
  return {{"accuracy", finite_or_null(measures.accuracy)},
          {"routed_accuracy", finite_or_null(measures.routed)},
          {"tasks", measures.tasks},
          {"calibration_error", finite_or_null(measures.calibration_error)},
          {"length_correlation", finite_or_null(measures.length_correlation)}};
}

Json seed_json(const MethodSeed& seed) {
  Json json = {
      {"seed", seed.seed}, {"sets", Json::object()}, {"pools", Json::object()}, {"facts", seed.facts}};
  for (const auto& [name, measures] : seed.sets) json["sets"][name] = set_json(measures);
  for (const auto& [name, measures] : seed.pools) json["pools"][name] = curve_json(measures.curve);
  return json;
}

Json summary_json(const MethodResult& method, const MethodResult* reference, const std::string& set) {
  const Comparison accuracy = compare(method, reference, set, &SetMeasures::accuracy);
  const metrics::SeedMean& difference = accuracy.difference.difference;
  return {
      {"accuracy", finite_or_null(accuracy.mean.mean)},
      {"deviation", finite_or_null(accuracy.mean.deviation)},
      {"interval", {finite_or_null(accuracy.mean.interval.low), finite_or_null(accuracy.mean.interval.high)}},
      {"difference", finite_or_null(difference.mean)},
      {"difference_interval",
       {finite_or_null(difference.interval.low), finite_or_null(difference.interval.high)}},
      {"p", finite_or_null(accuracy.difference.p)}};
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

Json curve_json(const std::vector<metrics::BestOfNPoint>& curve) {
  Json points = Json::array();
  for (const metrics::BestOfNPoint& point : curve)
    points.push_back(
        {{"n", point.n},
         {"kl", point.kl},
         {"proxy", point.proxy},
         {"proxy_band", {point.proxy_band.low, point.proxy_band.high}},
         {"gold", finite_or_null(point.gold)},
         {"gold_band", {finite_or_null(point.gold_band.low), finite_or_null(point.gold_band.high)}}});
  return points;
}

Json to_json(const StudyResults& results, const StudyConfig& study) {
  Json settings = Json::array();
  for (const SettingResult& setting : results.settings) {
    Json methods = Json::array();
    for (const MethodResult& method : setting.methods) {
      Json json = {{"method", method.name}, {"title", method.title}, {"seeds", Json::array()}};
      for (const MethodSeed& seed : method.seeds) json["seeds"].push_back(seed_json(seed));
      for (const auto& [set, measures] : method.seeds[0].sets)
        json["summary"][set] = summary_json(method, setting.find(study.reference), set);
      methods.push_back(std::move(json));
    }
    Json length = Json::object();
    for (const auto& [set, measures] : setting.length_only) length[set] = set_json(measures);
    settings.push_back({{"size", setting.size},
                        {"rank_noise", setting.rank_noise},
                        {"conflict", setting.conflict},
                        {"methods", methods},
                        {"length_only", length}});
  }
  return {{"reference", study.reference}, {"settings", settings}, {"missing", results.missing}};
}

std::string to_csv(const StudyResults& results) {
  std::string text = "setting,method,seed,set,task,measure,value\r\n";
  for (const SettingResult& setting : results.settings)
    for (const MethodResult& method : setting.methods)
      for (const MethodSeed& seed : method.seeds) {
        const auto add = [&](const std::string& set, const std::string& task, const std::string& measure,
                             double value) {
          if (std::isfinite(value))
            text +=
                fmt::format("{},{},{},{},{},{},{}\r\n", csv_field(setting.setting), csv_field(method.name),
                            seed.seed, csv_field(set), csv_field(task), measure, value);
        };
        for (const auto& [set, measures] : seed.sets) {
          add(set, "", "accuracy", measures.accuracy);
          add(set, "", "routed_accuracy", measures.routed);
          add(set, "", "calibration_error", measures.calibration_error);
          add(set, "", "length_correlation", measures.length_correlation);
          for (const auto& [task, accuracy] : measures.tasks) add(set, task, "accuracy", accuracy);
        }
        for (const auto& [pool, measures] : seed.pools)
          for (const metrics::BestOfNPoint& point : measures.curve) {
            add(pool, "", fmt::format("gold_best_of_{}", point.n), point.gold);
            add(pool, "", fmt::format("proxy_best_of_{}", point.n), point.proxy);
          }
      }
  return text;
}

}  // namespace dmoerm::study
