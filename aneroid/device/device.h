// The waist: MIL text and weight files in, an Executable out. Everything above
// is the same for the software engine and for a Mac's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"

namespace aneroid::device {

// Blob path in the text ("@model_path/weights/mask.bin") -> bytes of the file.
// The bytes are borrowed during the call that takes the map.
using WeightMap = std::map<std::string, std::span<const std::byte>>;

// What the engine is handed.
struct ModelSource {
  std::string name;  // for messages: "attn_fwd"
  std::string mil_text;
  WeightMap weights;
};

// One input or output of a program.
struct PortInfo {
  std::string name;
  DataType dtype = DataType::kFp16;  // as the program says
  Shape shape;
};

// Ports in the order the engine binds them: alphabetical (rule C002).
struct Signature {
  std::vector<PortInfo> inputs;
  std::vector<PortInfo> outputs;
};

// A device buffer: dense, row-major, no padding between rows (rule C023).
// Not thread-safe: the owner orders access and runs. Contents start as zeros.
class Surface {
 public:
  virtual ~Surface() = default;
  virtual std::span<std::byte> bytes() = 0;
  // Element type really stored for an fp16 port: fp16 on an engine, fp32 on
  // the software engine in reference numerics.
  virtual DataType storage() const = 0;
};

// How long a chip would take for one run, predicted: nothing here is measured.
struct PredictedTime {
  struct Op {
    std::string name;
    double microseconds = 0;
    std::string bound;  // "compute", "weights", ...: what it waits for
  };
  std::string chip;         // "m4"
  double microseconds = 0;  // the call, overhead included
  std::vector<Op> ops;      // of the engine alone
  // How good such predictions are: "model error: median 6 % of 33 rows (m4,
  // conv)", or "no basis". Show it wherever the time is shown.
  std::string basis;
};

// Compiled and loaded; unloads when destroyed. Keeps what it needs of the
// device alive. run() calls of one Executable must not overlap.
class Executable {
 public:
  virtual ~Executable() = default;
  virtual const std::string& name() const = 0;
  virtual const Signature& signature() const = 0;
  // Evaluates; surfaces in the order of the signature. Blocks until done.
  // Errors ("C0xx", device): wrong number of surfaces, surfaces that are too
  // small or (two or more ports) of unequal size, failed evaluation. Callers
  // must check: after an error the outputs hold old data.
  virtual Status run(std::span<Surface* const> inputs,
                     std::span<Surface* const> outputs) = 0;
  // Unloads, replaces all weight files and loads again, without compiling: for
  // devices whose info says can_reload_weights. Errors (device): "C082" where
  // weights are those of the moment of compilation; files that do not fit.
  virtual Status reload(const WeightMap& weights) {
    (void)weights;
    return device_error("C082", name(),
                        "this device bakes weights when it compiles and cannot "
                        "replace them: compile again, or pass weights as "
                        "inputs (--pipeline dynamic)");
  }
  // Null on a chip, whose time can be measured, and where nothing is known.
  virtual const PredictedTime* predicted() const { return nullptr; }
};

struct DeviceInfo {
  std::string name;      // "emulator"
  std::string chip;      // "m4"
  std::string numerics;  // "reference", "fast", "exact"; "engine" on a chip
  DataType storage = DataType::kFp16;  // see Surface::storage
  bool is_chip = false;                // measured times are chip times
  bool can_reload_weights = false;     // rule C082: frozen at compile
  int compile_budget = 0;              // rule C090; 0 for no limit
};

// A thing that compiles and runs. Thread-compatible: one thread at a time.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  // Errors: text or types (input), rules of the chip with their label C0xx
  // (device), the compile budget (C090, device).
  virtual Result<std::unique_ptr<Executable>> compile(
      const ModelSource& source) = 0;
  // A surface for `elements` elements of `dtype`. Errors: hostile sizes,
  // out of memory.
  virtual Result<std::unique_ptr<Surface>> allocate(DataType dtype,
                                                    int64_t elements) = 0;
  // Programs compiled so far in this process by this device.
  virtual int compiled() const = 0;
};

}  // namespace aneroid::device
