// The smallest network that learns on the engine: y = W2 relu(W1 x), taught to
// give back its input (after maderix/ANE's tiny_train; its surfaces are fp32
// and its programs cast, these are fp16 throughout).
//
// Everything a larger trainer does is here once: programs are built, compiled
// for a device and fed through surfaces; the engine does the products forward
// and backward, the CPU the weight gradients and the update. Read it from
// main() upwards.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/blob/blob.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"
#include "aneroid/runtime/runtime.h"

using aneroid::DataType;
using aneroid::Half;
using aneroid::Result;
using aneroid::Status;
namespace blob = aneroid::blob;
namespace device = aneroid::device;
namespace mil = aneroid::mil;

namespace {

constexpr int kModel = 64;     // channels of x and y
constexpr int kHidden = 128;   // channels between the layers
constexpr int kSequence = 16;  // positions
constexpr int kSteps = 2000;
// Weights are constants of a program, so every update compiles anew; what ten
// steps find is worth the trouble of one compilation.
constexpr int kStepsPerUpdate = 10;
constexpr float kLearningRate = 1.0F;

// Row-major. Activations are [channels, positions], as the engine has them.
struct Matrix {
  Matrix(int r, int c) : rows(r), columns(c), values(size()) {}
  size_t size() const { return static_cast<size_t>(rows) * columns; }
  float& at(int r, int c) {
    return values[static_cast<size_t>(r) * columns + c];
  }
  float at(int r, int c) const {
    return values[static_cast<size_t>(r) * columns + c];
  }
  int rows;
  int columns;
  std::vector<float> values;
};

Matrix transposed(const Matrix& m) {
  Matrix result(m.columns, m.rows);
  for (int r = 0; r < m.rows; ++r) {
    for (int c = 0; c < m.columns; ++c) result.at(c, r) = m.at(r, c);
  }
  return result;
}

// ---- The engine
// --------------------------------------------------------------

std::vector<Half> to_halves(const std::vector<float>& values) {
  std::vector<Half> halves(values.size());
  aneroid::cpu::to_half(values.data(), halves.data(), values.size());
  return halves;
}

// A program that multiplies by one weight: to the engine a linear layer is a
// convolution of size 1x1.
class Layer {
 public:
  static Result<Layer> compile(device::Device& engine, const Matrix& weight) {
    constexpr const char* kPath = "@model_path/weights/w.bin";
    // The program, as text in the engine's language. The builder checks types
    // and shapes while it is written.
    mil::Builder b;
    const mil::Var x = b.input(
        "x", mil::tensor(DataType::kFp16, {1, weight.columns, 1, kSequence}));
    const mil::Var w = b.weight(
        "w", mil::tensor(DataType::kFp16, {weight.rows, weight.columns, 1, 1}),
        kPath);
    ANEROID_ASSIGN(const mil::Program program,
                   b.finish({{"y", b.conv1x1(x, w)}}));

    // Its weights, in a file that exists in memory only.
    const std::vector<Half> halves = to_halves(weight.values);
    const std::vector<std::byte> file =
        blob::single_blob(DataType::kFp16, std::as_bytes(std::span(halves)));

    // Text and file in, an executable out; and memory that both sides see.
    Layer layer;
    ANEROID_ASSIGN(
        layer.executable_,
        engine.compile({"layer", mil::print(program), {{kPath, file}}}));
    ANEROID_ASSIGN(layer.input_, engine.allocate(DataType::kFp16,
                                                 weight.columns * kSequence));
    ANEROID_ASSIGN(layer.output_,
                   engine.allocate(DataType::kFp16, weight.rows * kSequence));
    layer.rows_ = weight.rows;
    return layer;
  }

  Result<Matrix> run(const Matrix& x) {
    const std::vector<Half> in = to_halves(x.values);
    std::memcpy(input_->bytes().data(), in.data(), in.size() * sizeof(Half));
    device::Surface* const inputs[] = {input_.get()};
    device::Surface* const outputs[] = {output_.get()};
    ANEROID_TRY(executable_->run(inputs, outputs));
    Matrix y(rows_, kSequence);
    aneroid::cpu::to_float(
        reinterpret_cast<const Half*>(output_->bytes().data()), y.values.data(),
        y.size());
    return y;
  }

 private:
  std::unique_ptr<device::Executable> executable_;
  std::unique_ptr<device::Surface> input_;
  std::unique_ptr<device::Surface> output_;
  int rows_ = 0;
};

// Forward W1 and W2, backward their transposes.
struct Network {
  Layer w1, w2, w2_back, w1_back;
};
Result<Network> compile(device::Device& engine, const Matrix& w1,
                        const Matrix& w2) {
  Network network;
  ANEROID_ASSIGN(network.w1, Layer::compile(engine, w1));
  ANEROID_ASSIGN(network.w2, Layer::compile(engine, w2));
  ANEROID_ASSIGN(network.w2_back, Layer::compile(engine, transposed(w2)));
  ANEROID_ASSIGN(network.w1_back, Layer::compile(engine, transposed(w1)));
  return network;
}

// ---- Learning
// ------------------------------------------------------------------

// gradient[r, c] += factor * sum over positions of error[r, t] input[c, t]
void add_gradient(const Matrix& error, const Matrix& input, float factor,
                  Matrix& gradient) {
  for (int r = 0; r < gradient.rows; ++r) {
    for (int c = 0; c < gradient.columns; ++c) {
      float sum = 0;
      for (int t = 0; t < kSequence; ++t)
        sum += error.at(r, t) * input.at(c, t);
      gradient.at(r, c) += factor * sum;
    }
  }
}

// One step: adds to the gradients and returns the loss, the mean of (y - x)^2.
Result<float> step(Network& network, const Matrix& x, Matrix& dw1,
                   Matrix& dw2) {
  ANEROID_ASSIGN(Matrix h, network.w1.run(x));
  for (float& value : h.values) value = std::max(value, 0.0F);
  ANEROID_ASSIGN(Matrix error, network.w2.run(h));
  float loss = 0;
  for (size_t i = 0; i < error.size(); ++i) {
    error.values[i] -= x.values[i];
    loss += error.values[i] * error.values[i];
  }
  // The derivative of the mean is 2 error / size. What comes back is linear in
  // it, so the engine gets the error itself and the small factor waits on the
  // CPU: fp16 has no numbers for the products otherwise. In a large network
  // this is called loss scaling.
  const float factor = 2.0F / static_cast<float>(x.size()) / kStepsPerUpdate;
  ANEROID_ASSIGN(Matrix dh, network.w2_back.run(error));
  for (size_t i = 0; i < dh.size(); ++i) {
    if (h.values[i] <= 0) dh.values[i] = 0;
  }
  // Nothing lies before the first layer, but in a deeper network this would go
  // on: it is computed as its cost belongs to a step.
  ANEROID_TRY(network.w1_back.run(dh));
  add_gradient(error, h, factor, dw2);
  add_gradient(dh, x, factor, dw1);
  return loss / static_cast<float>(x.size());
}

void descend(Matrix& gradient, Matrix& weight) {
  for (size_t i = 0; i < weight.size(); ++i) {
    weight.values[i] -= kLearningRate * gradient.values[i];
    gradient.values[i] = 0;
  }
}

Result<float> train(device::Device& engine) {
  // Waves to learn, and small weights to begin with.
  Matrix x(kModel, kSequence);
  for (int c = 0; c < kModel; ++c) {
    for (int t = 0; t < kSequence; ++t) {
      x.at(c, t) = std::sin(0.1F * static_cast<float>(t * kModel + c));
    }
  }
  Matrix w1(kHidden, kModel);
  Matrix w2(kModel, kHidden);
  for (size_t i = 0; i < w1.size(); ++i) {
    w1.values[i] = 0.01F * std::sin(1.3F * static_cast<float>(i) + 0.7F);
    w2.values[i] = 0.01F * std::cos(0.9F * static_cast<float>(i) + 1.1F);
  }

  Matrix dw1(kHidden, kModel);
  Matrix dw2(kModel, kHidden);
  float loss = 0;
  for (int done = 0; done < kSteps; done += kStepsPerUpdate) {
    ANEROID_ASSIGN(Network network, compile(engine, w1, w2));
    for (int i = 0; i < kStepsPerUpdate; ++i) {
      ANEROID_ASSIGN(loss, step(network, x, dw1, dw2));
    }
    if (done % 200 == 0) std::printf("step %4d  loss %.6f\n", done, loss);
    descend(dw1, w1);
    descend(dw2, w2);
  }
  return loss;
}

}  // namespace

int main() {
  aneroid::cpu::ThreadPool pool;
  // A Mac's engine compiles about 119 programs in a process, and this makes
  // 800: `aneroid train --pipeline static` shows how to live with that. The
  // software engine would keep to the limit as well, if 0 did not lift it.
  aneroid::runtime::DeviceOptions options;
  options.compile_budget = 0;
  const auto engine = aneroid::runtime::open_device("emulator", options, pool);
  const Result<float> loss =
      engine ? train(**engine) : tl::unexpected(engine.error());
  if (!loss) {
    std::fprintf(stderr, "%s\n", to_string(loss.error()).c_str());
    return 1;
  }
  std::printf("step %4d  loss %.6f, %d programs compiled\n", kSteps, *loss,
              (*engine)->compiled());
  constexpr float kLearnt = 0.005F;
  return *loss < kLearnt ? 0 : 1;
}
