// What the program says of itself and of a command line that it cannot read.
#include <gmock/gmock.h>

#include "tests/program/program_fixture.h"

namespace dmoerm {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string kProgram = DMOERM_PROGRAM;

TEST(UsageTest, VersionNamesTheProgramAndItsLibrary) {
  const ProgramResult result = run_shell(kProgram + " --version");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, StartsWith("dmoerm "));
  EXPECT_THAT(result.output, HasSubstr(", LibTorch "));
}

TEST(UsageTest, ACommandLineThatCannotBeReadIsStatusTwo) {
  for (const std::string arguments : {"", "--no-such-flag", "no-such-command", "score --input"}) {
    const ProgramResult result = run_shell(kProgram + " " + arguments + " 2>&1");
    EXPECT_EQ(result.status, 2) << arguments;
    EXPECT_THAT(result.output, StartsWith("dmoerm: ")) << arguments;
    EXPECT_THAT(result.output, HasSubstr("--help")) << arguments;
  }
}

TEST(UsageTest, WhatFollowsAKeyMayBeTheConfiguration) {
  EXPECT_THAT(run_shell(kProgram + " train --set seed=2 /dev/null --set seed=3 2>&1").output,
              HasSubstr("out is missing"));
}

// OpenMP says when it is loaded for how long its idle threads spin.
TEST(UsageTest, IdleThreadsSleepWhereMatricesAreMultiplied) {
  const std::string show = "unset OMP_WAIT_POLICY; OMP_DISPLAY_ENV=verbose " + kProgram;
  for (const std::string command : {"demo", "study", "bon", "train", "pretrain", "eval", "score", "model"})
    EXPECT_THAT(run_shell(show + " " + command + " --help 2>&1").output, HasSubstr("GOMP_SPINCOUNT = '0'"))
        << command;
  EXPECT_THAT(run_shell(show + " data --help 2>&1").output, testing::Not(HasSubstr("GOMP_SPINCOUNT = '0'")));
}

// A stream is read once, and output that is lost is an error.
TEST(UsageTest, BestOfNReadsAStreamAndSaysThatItCannotWrite) {
  const std::string model = std::string(DMOERM_TEST_DATA) + "/llama-seq";
  const std::string bon = "echo '{\"prompt_ids\": [5], \"response_ids\": [[6], [7]], \"gold\": [5, 1]}' | " +
                          kProgram + " bon --json --model " + model + " --data - ";
  const ProgramResult result = run_shell(bon + "2>/dev/null");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("3.0"));  // the mean of both, best of one
  EXPECT_EQ(run_shell(bon + "2>/dev/null >/dev/full").status, 1);
}

}  // namespace
}  // namespace dmoerm
