// The tasks files that are built in, as TOML text. Tasks, points and the form of the prompt are those of the
// DMoERM paper; the definitions are ours.
#pragma once

namespace dmoerm::label {

const char* english_tasks_file();
const char* chinese_tasks_file();

}  // namespace dmoerm::label
