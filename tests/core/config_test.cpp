#include <gmock/gmock.h>

#include "dmoerm/core/config.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Config, ReadsTypedValuesAndKeepsDefaults) {
  Config config = Config::parse(
      "name = 'x'\ncount = 3\nrate = 1\non = true\nlist = ['a', 'b']\none = 'c'\n[sub]\nrate = 0.5\n");
  std::string name, absent = "kept";
  int64_t count = 0;
  double rate = 0, sub_rate = 0;
  bool on = false;
  std::vector<std::string> list, one;
  config.get("name", name);
  config.get("absent", absent);
  config.get("count", count);
  config.get("rate", rate);  // a whole number is a number
  config.get("on", on);
  config.get("list", list);
  config.get("one", one);  // a single item needs no brackets
  config.table("sub").get("rate", sub_rate);
  config.finish();
  EXPECT_EQ(name, "x");
  EXPECT_EQ(absent, "kept");
  EXPECT_EQ(count, 3);
  EXPECT_EQ(rate, 1.0);
  EXPECT_EQ(sub_rate, 0.5);
  EXPECT_TRUE(on);
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(one, (std::vector<std::string>{"c"}));
}

TEST(Config, AWholeNumberThatADoubleRoundsIsANumber) {
  Config config = Config::parse("seconds = 9007199254740993\nlist = [10000000000000001]\n");
  double seconds = 0;
  std::vector<double> list;
  config.get("seconds", seconds);
  config.get("list", list);
  EXPECT_EQ(seconds, 9007199254740992.0);
  EXPECT_EQ(list, std::vector<double>{1e16});
}

TEST(Config, MistypedKeyNamesTheNearestKnownOne) {
  Config config = Config::parse("[phase1]\nlerning_rate = 1.0\n", "run.toml");
  double rate = 0;
  config.table("phase1").get("learning_rate", rate);
  EXPECT_THAT(error_of([&] { config.finish(); }),
              AllOf(HasSubstr("run.toml: phase1.lerning_rate"), HasSubstr("did you mean \"learning_rate\"")));
}

TEST(Config, UnknownKeyInAListOfTables) {
  Config config = Config::parse("[[data]]\nfiles = 'a'\n[[data]]\nfiles = 'b'\nqqqqqq = 1\n", "run.toml");
  for (Config& table : config.tables("data")) table.required<std::string>("files");
  EXPECT_THAT(error_of([&] { config.finish(); }), HasSubstr("data[1].qqqqqq is not a known key"));
}

TEST(Config, WrongTypesAndMissingKeysAreNamed) {
  Config config = Config::parse("rate = 'fast'\ncount = 1.5\nform = 'ful'\n", "run.toml");
  double rate = 0;
  int64_t count = 0;
  std::string form;
  EXPECT_THAT(error_of([&] { config.get("rate", rate); }),
              AllOf(HasSubstr("run.toml: rate"), HasSubstr("fast"), HasSubstr("a number")));
  EXPECT_THAT(error_of([&] { config.get("count", count); }), HasSubstr("a whole number"));
  EXPECT_THAT(error_of([&] {
                config.get_choice("form", form, {"full", "lora"});
              }),
              HasSubstr("one of full, lora"));
  EXPECT_THAT(error_of([&] { config.required<std::string>("out"); }), HasSubstr("run.toml: out is missing"));
}

TEST(Config, SyntaxErrorNamesFileAndLine) {
  EXPECT_THAT(error_of([] { Config::parse("a = 1\nb = = 2\n", "run.toml"); }),
              AllOf(HasSubstr("run.toml"), HasSubstr("line 2")));
}

TEST(Config, VariablesAndOverrides) {
  Config config = Config::parse("file = '${data}/x.jsonl'\n[vars]\ndata = 'a'\n[phase1]\nlr = 1.0\n",
                                "run.toml", {"vars.data=b", "phase1.lr=0.25", "phase2.lora.rank=7"});
  std::string file;
  double rate = 0;
  int64_t rank = 0;
  config.get("file", file);
  config.table("phase1").get("lr", rate);
  config.table("phase2").table("lora").get("rank", rank);
  config.finish();
  EXPECT_EQ(file, "b/x.jsonl");
  EXPECT_EQ(rate, 0.25);
  EXPECT_EQ(rank, 7);
  EXPECT_THAT(error_of([] { Config::parse("file = '${nope}'"); }), HasSubstr("unknown variable"));
  EXPECT_THAT(error_of([] { Config::parse("[vars]\na = 'x'\nb = '${a}/y'"); }),
              HasSubstr("vars.b is \"${a}/y\", expected text without another variable"));
  EXPECT_THAT(error_of([] { Config::parse("", "run.toml", {"novalue"}); }), HasSubstr("key=value"));
}

TEST(Config, ValuesAreFlat) {
  const auto values =
      Config::parse("a = '${v}'\nlist = [1, 2]\n[b]\nc = 2.5\n[[d]]\ne = true\n[vars]\nv = 'w'\n").values();
  EXPECT_EQ(values.at("b.c"), "2.5");
  EXPECT_EQ(values.at("d[0].e"), "true");
  EXPECT_THAT(values.at("a"), HasSubstr("w"));
  EXPECT_EQ(values.size(), 4u);
}

TEST(Nearest, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(nearest("lr", {"epochs", "weight_decay"}), "");
  EXPECT_EQ(nearest("epoch", {"epochs", "eps"}), "epochs");
}

}  // namespace
}  // namespace dmoerm
