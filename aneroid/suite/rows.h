// How rows of programs are named: keys for files, words for people. Internal to
// this folder.
#pragma once

#include <string>
#include <string_view>

#include "aneroid/suite/suites.h"

namespace aneroid::suite {

std::string_view suffix(Stored stored);  // of a key: "-w8a8"; "" for fp16
std::string_view words(Stored stored);   // "W8A8"

double gflop(const ConvChain& chain);      // without `hidden`
double weight_mb(const ConvChain& chain);  // as fp16

std::string chain_key(const ConvChain& chain);
std::string product_key(const Product& product);

// Cases with those keys, on the curve `series` at `x`; "" for none.
Case chain_case(const ConvChain& chain, std::string series, double x);
Case product_case(const Product& product, std::string series, double x);
// x: the MB that move.
Case stream_case(const Stream& stream, std::string series);

}  // namespace aneroid::suite
