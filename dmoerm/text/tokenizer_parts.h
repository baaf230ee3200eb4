// The parts that a tokenizer is made of, whatever files they are read from.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/post_processor.h"
#include "dmoerm/text/pre_tokenizer.h"
#include "dmoerm/text/token_decoder.h"
#include "dmoerm/text/tokenizer_files.h"
#include "dmoerm/text/word_model.h"

namespace dmoerm::text {

struct TokenizerParts {
  // Error, naming the file and the part, for damage and for what is not supported.
  static TokenizerParts read(const TokenizerFiles& files);

  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<const WordModel> model;
  TokenDecoder decoder;
  PostProcessor post_processor;
  Json added_tokens = Json::array();         // in the form of tokenizer.json
  std::map<std::string, std::string> roles;  // "bos_token" …, where the model file itself names them
  bool starts_with_bos = false;              // unless tokenizer_config.json says otherwise
};

}  // namespace dmoerm::text
