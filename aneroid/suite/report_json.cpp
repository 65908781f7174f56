#include <cmath>

#include <nlohmann/json.hpp>

#include "aneroid/suite/report.h"

namespace aneroid::suite {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

std::string_view unit_of(const ReportRow& row) {
  return row.unit == RowUnit::kRatio ? "x" : "us";
}

Json tflops(const ReportRow& row, double microseconds) {
  if (row.flops <= 0) return nullptr;
  return row.flops / microseconds / 1e6;
}

Json measured(const ReportRow& row) {
  if (!row.measured) return nullptr;
  return {{"best", row.measured->best_us},
          {"median", row.measured->median_us},
          {"samples", row.measured->samples},
          {"compile_us", row.measured->compile_us},
          {"tflops", tflops(row, row.measured->best_us)}};
}

Json predicted(const ReportRow& row) {
  if (!row.predicted) return nullptr;
  Json programs = Json::array();
  for (const ProgramForecast& program : row.programs) {
    const target::Prediction& prediction = program.prediction;
    programs.push_back({{"program", program.name},
                        {"call_us", prediction.microseconds},
                        {"task_us", prediction.task_microseconds},
                        {"surfaces_us", prediction.io_microseconds},
                        {"host_us", prediction.host_microseconds}});
  }
  return {{"value", *row.predicted},
          {"tflops", tflops(row, *row.predicted)},
          {"basis", target::to_string(row.basis)},
          {"programs", std::move(programs)}};
}

Json comparison(const Comparison& one) {
  const Figure& figure = one.figure;
  return {
      {"kind", figure.kind == Kind::kPublished ? "published" : "measured"},
      {"value", figure.value},
      {"unit", figure.unit},
      {"in_row_unit", one.value},
      {"statistic", figure.statistic == Statistic::kBest ? "best" : "typical"},
      {"path", target::name(figure.path)},
      {"copies", figure.copies},
      {"engines", figure.engines},
      {"predicted", one.predicted},
      {"ratio", one.ratio()},
      {"source", figure.source},
      {"machine", figure.machine},
      {"os", figure.os},
      {"confidence", std::string(1, figure.confidence)},
      {"note", figure.note}};
}

Json row_json(const ReportRow& row) {
  Json json = {{"key", row.key}, {"what", row.what}, {"unit", unit_of(row)}};
  if (row.source != nullptr) {
    json["flop"] = row.flops;
    json["weight_bytes"] = row.weight_bytes;
    json["surface_bytes"] = row.surface_bytes;
    if (const auto* layer = std::get_if<Layer>(&row.source->recipe)) {
      json["published_flop"] = published_flops(*layer);
    }
  }
  json["measured"] = measured(row);
  if (!row.measured) json["not_measured"] = row.not_measured;
  json["predicted"] = predicted(row);
  if (!row.refused.empty()) json["refused"] = row.refused;
  json["compared"] = Json::array();
  for (const Comparison& one : row.comparisons) {
    json["compared"].push_back(comparison(one));
  }
  return json;
}

}  // namespace

std::string to_json(const Report& report, const Conditions& conditions) {
  Json json = {{"schema", kSchema},
               {"suite", report.suite->name},
               {"quick", report.quick},
               {"predicted_on", report.chip.id},
               {"path", target::name(report.path)},
               {"max_gflop", report.max_gflop},
               {"measured_on",
                {{"chip", conditions.chip},
                 {"device", conditions.device},
                 {"numerics", conditions.numerics},
                 {"threads", conditions.threads},
                 {"machine", conditions.machine},
                 {"os", conditions.os}}},
               {"rows", Json::array()}};
  for (const ReportRow& row : report.rows)
    json["rows"].push_back(row_json(row));
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace aneroid::suite
