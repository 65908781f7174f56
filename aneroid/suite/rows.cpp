#include "aneroid/suite/rows.h"

#include <fmt/format.h>

namespace aneroid::suite {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMega = 1e6;

}  // namespace

std::string_view suffix(Stored stored) {
  switch (stored) {
    case Stored::kFp16:
      return "";
    case Stored::kInt8:
      return "-int8";
    case Stored::kPalette4:
      return "-palette4";
    case Stored::kW8A8:
      break;
  }
  return "-w8a8";
}
std::string_view words(Stored stored) {
  switch (stored) {
    case Stored::kFp16:
      return "fp16";
    case Stored::kInt8:
      return "int8 weights";
    case Stored::kPalette4:
      return "4-bit palette";
    case Stored::kW8A8:
      break;
  }
  return "W8A8";
}

double gflop(const ConvChain& chain) {
  return 2.0 * static_cast<double>(chain.channels * chain.channels) *
         static_cast<double>(chain.height * chain.width * chain.depth) / kGiga;
}
double weight_mb(const ConvChain& chain) {
  const int64_t hidden = chain.hidden > 0 ? chain.hidden : chain.channels;
  return 2.0 * static_cast<double>(chain.channels * hidden) *
         static_cast<double>(chain.shared ? 1 : chain.depth) / kMega;
}

std::string chain_key(const ConvChain& chain) {
  const std::string hidden =
      chain.hidden > 0 ? fmt::format("-{}", chain.hidden) : "";
  return fmt::format("{}{}-{}x{}-d{}{}{}", chain.channels, hidden, chain.height,
                     chain.width, chain.depth, suffix(chain.stored),
                     chain.shared ? "-shared" : "");
}
Case chain_case(const ConvChain& chain, std::string series, double x) {
  const int64_t hidden = chain.hidden > 0 ? chain.hidden : chain.channels;
  return {
      chain_key(chain),
      fmt::format("{} conv {}->{}, {}x{}, {}{}", chain.depth, chain.channels,
                  hidden, chain.height, chain.width, words(chain.stored),
                  chain.shared ? ", one set of weights" : ""),
      std::move(series), x, chain};
}

std::string product_key(const Product& product) {
  return fmt::format("matmul-{}x{}x{}{}{}", product.rows, product.inner,
                     product.columns, product.runtime ? "" : "-constant",
                     suffix(product.stored));
}
Case product_case(const Product& product, std::string series, double x) {
  return {product_key(product),
          fmt::format("matmul [{},{}]x[{},{}], {}", product.rows, product.inner,
                      product.inner, product.columns,
                      product.runtime
                          ? "both inputs"
                          : fmt::format("constant {}", words(product.stored))),
          std::move(series), x, product};
}

Case stream_case(const Stream& stream, std::string series) {
  const double elements =
      static_cast<double>(stream.channels * stream.height * stream.width);
  return {fmt::format("relu-{}x{}x{}", stream.channels, stream.height,
                      stream.width),
          fmt::format("relu of {:.3g} M elements", elements / kMega),
          std::move(series), 4 * elements / kMega, stream};
}

}  // namespace aneroid::suite
