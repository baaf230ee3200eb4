// TOML configuration read into option structs. Every key that is asked for is known; finish() refuses the
// others and names the nearest known key, so a mistyped key never passes silently.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace dmoerm {

class Config {
 public:
  // Reads a file. `overrides` are "a.b=value" strings (value in TOML syntax, or a bare word for a string).
  // "${name}" inside any string stands for the key `name` of the top table [vars].
  static Config load(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});
  static Config parse(std::string_view text, std::string name = "config",
                      const std::vector<std::string>& overrides = {});

  // Leaves `target` alone when the key is absent; Error when its type is wrong.
  void get(const std::string& key, std::string& target);
  void get(const std::string& key, bool& target);
  void get(const std::string& key, int64_t& target);
  void get(const std::string& key, double& target);
  void get(const std::string& key, std::vector<std::string>& target);
  void get(const std::string& key, std::vector<double>& target);
  void get(const std::string& key, std::filesystem::path& target);

  template <typename T>
  T required(const std::string& key) {
    if (!has(key)) missing(key);
    T value{};
    get(key, value);
    return value;
  }
  // A string that must be one of `choices`.
  void get_choice(const std::string& key, std::string& target, const std::vector<std::string>& choices);

  bool has(const std::string& key);                    // also marks the key as known
  Config table(const std::string& key);                // sub-table; empty when absent
  std::vector<Config> tables(const std::string& key);  // array of tables; empty when absent
  std::vector<std::string> keys() const;               // for tables whose keys the user chooses

  // Error when a key was never asked for, here or in a sub-table taken from here.
  void finish() const;

  [[noreturn]] void invalid(const std::string& key, const std::string& expected) const;  // bad value of a key
  std::string name(const std::string& key = "") const;  // "run.toml: phase1.lr", for messages
  // Every value by its dotted key, as TOML text with variables expanded; [vars] itself is left out.
  std::map<std::string, std::string> values() const;

 private:
  struct Node;
  explicit Config(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  [[noreturn]] void missing(const std::string& key) const;
  const toml::node* find(const std::string& key);

  std::shared_ptr<Node> node_;
};

// The candidate with the smallest edit distance, or "" when none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace dmoerm
