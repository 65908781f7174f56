#include "aneroid/kernels/plain.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace aneroid::kernels::plain {
namespace {

const Matrix& block(const Blocks& blocks, std::string_view name) {
  const auto at = blocks.find(name);
  assert(at != blocks.end() && "the kernel needs a block of this name");
  if (at == blocks.end()) std::abort();
  return at->second;
}

// r = (mean(x^2) + epsilon)^-1/2 of column t.
double inverse_rms(const Matrix& x, int64_t t, double epsilon) {
  double sum = 0.0;
  for (int64_t c = 0; c < x.rows; ++c) sum += x(c, t) * x(c, t);
  return 1.0 / std::sqrt(sum / static_cast<double>(x.rows) + epsilon);
}

double sigmoid(double h) { return 1.0 / (1.0 + std::exp(-h)); }

// What query head `head` at position t gives to the positions 0..t.
std::vector<double> probabilities(const Matrix& q, const Matrix& k,
                                  const model::ModelConfig& config,
                                  int64_t head, int64_t t) {
  const int64_t size = config.head_dim;
  const int64_t kv_head = head / config.group_size();
  std::vector<double> p(static_cast<size_t>(t + 1));
  for (int64_t s = 0; s <= t; ++s) {
    double dot = 0.0;
    for (int64_t d = 0; d < size; ++d) {
      dot += q(head * size + d, t) * k(kv_head * size + d, s);
    }
    p[static_cast<size_t>(s)] = dot / std::sqrt(static_cast<double>(size));
  }
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0.0;
  for (double& value : p) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (double& value : p) value /= sum;
  return p;
}

}  // namespace

Matrix multiply(const Matrix& a, const Matrix& b) {
  assert(a.columns == b.rows);
  Matrix out(a.rows, b.columns);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t k = 0; k < a.columns; ++k) {
      for (int64_t j = 0; j < b.columns; ++j) out(i, j) += a(i, k) * b(k, j);
    }
  }
  return out;
}

Matrix transpose(const Matrix& a) {
  Matrix out(a.columns, a.rows);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.columns; ++j) out(j, i) = a(i, j);
  }
  return out;
}

Matrix add(const Matrix& a, const Matrix& b) {
  assert(a.rows == b.rows && a.columns == b.columns);
  Matrix out = a;
  for (size_t i = 0; i < out.data.size(); ++i) out.data[i] += b.data[i];
  return out;
}

Matrix rms_norm(const Matrix& x, const Matrix& gain, double epsilon) {
  assert(gain.rows == x.rows);
  Matrix y(x.rows, x.columns);
  for (int64_t t = 0; t < x.columns; ++t) {
    const double r = inverse_rms(x, t, epsilon);
    for (int64_t c = 0; c < x.rows; ++c) y(c, t) = gain(c, 0) * x(c, t) * r;
  }
  return y;
}

// y_c = g_c x_c r and dr/dx_c = -r^3 x_c / D, so
// dx_c = r (g_c dy_c - x_c r^2 / D sum_j g_j dy_j x_j): the gain multiplies
// dy in both terms, but not the correction as a whole.
Matrix rms_norm_gradient(const Matrix& dy, const Matrix& x, const Matrix& gain,
                         double epsilon) {
  Matrix dx(x.rows, x.columns);
  for (int64_t t = 0; t < x.columns; ++t) {
    const double r = inverse_rms(x, t, epsilon);
    double dot = 0.0;
    for (int64_t c = 0; c < x.rows; ++c) dot += gain(c, 0) * dy(c, t) * x(c, t);
    const double correction = dot * r * r / static_cast<double>(x.rows);
    for (int64_t c = 0; c < x.rows; ++c) {
      dx(c, t) = r * (gain(c, 0) * dy(c, t) - x(c, t) * correction);
    }
  }
  return dx;
}

Matrix rms_norm_gain_gradient(const Matrix& dy, const Matrix& x,
                              double epsilon) {
  Matrix dgain(x.rows, 1);
  for (int64_t t = 0; t < x.columns; ++t) {
    const double r = inverse_rms(x, t, epsilon);
    for (int64_t c = 0; c < x.rows; ++c) dgain(c, 0) += dy(c, t) * x(c, t) * r;
  }
  return dgain;
}

Matrix rotate(const Matrix& x, const model::ModelConfig& config,
              double direction) {
  Matrix out(x.rows, x.columns);
  for (int64_t c = 0; c < x.rows; c += 2) {
    const double exponent = static_cast<double>(c % config.head_dim) /
                            static_cast<double>(config.head_dim);
    for (int64_t t = 0; t < x.columns; ++t) {
      const double angle = direction * static_cast<double>(t) *
                           std::pow(config.rope_theta, -exponent);
      out(c, t) = x(c, t) * std::cos(angle) - x(c + 1, t) * std::sin(angle);
      out(c + 1, t) = x(c, t) * std::sin(angle) + x(c + 1, t) * std::cos(angle);
    }
  }
  return out;
}

Matrix attend(const Matrix& q, const Matrix& k, const Matrix& v,
              const model::ModelConfig& config) {
  const int64_t size = config.head_dim;
  Matrix a(q.rows, q.columns);
  for (int64_t head = 0; head < config.num_attention_heads; ++head) {
    const int64_t kv_head = head / config.group_size();
    for (int64_t t = 0; t < q.columns; ++t) {
      const std::vector<double> p = probabilities(q, k, config, head, t);
      for (int64_t d = 0; d < size; ++d) {
        for (int64_t s = 0; s <= t; ++s) {
          a(head * size + d, t) +=
              p[static_cast<size_t>(s)] * v(kv_head * size + d, s);
        }
      }
    }
  }
  return a;
}

AttentionGradient attend_gradient(const Matrix& da, const Matrix& q,
                                  const Matrix& k, const Matrix& v,
                                  const model::ModelConfig& config) {
  const int64_t size = config.head_dim;
  const double scale = 1.0 / std::sqrt(static_cast<double>(size));
  AttentionGradient out{Matrix(q.rows, q.columns), Matrix(k.rows, k.columns),
                        Matrix(v.rows, v.columns)};
  for (int64_t head = 0; head < config.num_attention_heads; ++head) {
    const int64_t first = head * size;
    const int64_t kv_first = head / config.group_size() * size;
    for (int64_t t = 0; t < q.columns; ++t) {
      const std::vector<double> p = probabilities(q, k, config, head, t);
      std::vector<double> dp(p.size());
      double mean = 0.0;  // of dp under p
      for (int64_t s = 0; s <= t; ++s) {
        const auto at = static_cast<size_t>(s);
        for (int64_t d = 0; d < size; ++d) {
          dp[at] += da(first + d, t) * v(kv_first + d, s);
        }
        mean += p[at] * dp[at];
      }
      for (int64_t s = 0; s <= t; ++s) {
        const auto at = static_cast<size_t>(s);
        const double ds = p[at] * (dp[at] - mean) * scale;
        for (int64_t d = 0; d < size; ++d) {
          out.dq(first + d, t) += ds * k(kv_first + d, s);
          out.dk(kv_first + d, s) += ds * q(first + d, t);
          out.dv(kv_first + d, s) += p[at] * da(first + d, t);
        }
      }
    }
  }
  return out;
}

Blocks attention_forward(const model::ModelConfig& config, const Blocks& in) {
  const Matrix& x = block(in, "x");
  const Matrix xn = rms_norm(x, block(in, "gain"), config.rms_norm_eps);
  const Matrix q = rotate(multiply(block(in, "wq"), xn), config, 1.0);
  const Matrix k = rotate(multiply(block(in, "wk"), xn), config, 1.0);
  const Matrix v = multiply(block(in, "wv"), xn);
  const Matrix a = attend(q, k, v, config);
  const Matrix x2 = add(x, multiply(block(in, "wo"), a));
  return {{"x2", x2}, {"xn", xn}, {"q", q}, {"k", k}, {"v", v}, {"a", a}};
}

Blocks attention_backward(const model::ModelConfig& config, const Blocks& in) {
  const Matrix& dx2 = block(in, "dx2");
  const Matrix da = multiply(transpose(block(in, "wo")), dx2);
  const AttentionGradient turned = attend_gradient(
      da, block(in, "q"), block(in, "k"), block(in, "v"), config);
  const Matrix dq = rotate(turned.dq, config, -1.0);
  const Matrix dk = rotate(turned.dk, config, -1.0);
  const Matrix& dv = turned.dv;
  const Matrix dxn = add(add(multiply(transpose(block(in, "wq")), dq),
                             multiply(transpose(block(in, "wk")), dk)),
                         multiply(transpose(block(in, "wv")), dv));
  const Matrix dx =
      add(dx2, rms_norm_gradient(dxn, block(in, "x"), block(in, "gain"),
                                 config.rms_norm_eps));
  return {{"dx", dx}, {"dxn", dxn}, {"dq", dq}, {"dk", dk}, {"dv", dv}};
}

Blocks ffn_forward(const model::ModelConfig& config, const Blocks& in) {
  const Matrix& x2 = block(in, "x2");
  const Matrix xn2 = rms_norm(x2, block(in, "gain"), config.rms_norm_eps);
  const Matrix h1 = multiply(block(in, "w1"), xn2);
  const Matrix h3 = multiply(block(in, "w3"), xn2);
  Matrix g(h1.rows, h1.columns);
  for (size_t i = 0; i < g.data.size(); ++i) {
    g.data[i] = h1.data[i] * sigmoid(h1.data[i]) * h3.data[i];
  }
  const Matrix y = add(x2, multiply(transpose(block(in, "w2")), g));
  return {{"y", y}, {"xn2", xn2}, {"h1", h1}, {"h3", h3}, {"g", g}};
}

Blocks ffn_backward(const model::ModelConfig& config, const Blocks& in) {
  const Matrix& dy = block(in, "dy");
  const Matrix& h1 = block(in, "h1");
  const Matrix& h3 = block(in, "h3");
  const Matrix dg = multiply(block(in, "w2"), dy);
  Matrix dh1(h1.rows, h1.columns);
  Matrix dh3(h3.rows, h3.columns);
  for (size_t i = 0; i < dh1.data.size(); ++i) {
    const double h = h1.data[i];
    const double s = sigmoid(h);
    dh3.data[i] = dg.data[i] * h * s;
    dh1.data[i] = dg.data[i] * h3.data[i] * s * (1.0 + h * (1.0 - s));
  }
  const Matrix dxn2 = add(multiply(transpose(block(in, "w1")), dh1),
                          multiply(transpose(block(in, "w3")), dh3));
  const Matrix dx2 =
      add(dy, rms_norm_gradient(dxn2, block(in, "x2"), block(in, "gain"),
                                config.rms_norm_eps));
  return {{"dx2", dx2}, {"dxn2", dxn2}, {"dh1", dh1}, {"dh3", dh3}};
}

Blocks final_norm_forward(const model::ModelConfig& config, const Blocks& in) {
  return {
      {"xf", rms_norm(block(in, "x"), block(in, "gain"), config.rms_norm_eps)}};
}

Blocks final_norm_backward(const model::ModelConfig& config, const Blocks& in) {
  return {{"dx", rms_norm_gradient(block(in, "dxf"), block(in, "x"),
                                   block(in, "gain"), config.rms_norm_eps)}};
}

Blocks classifier_forward(const Blocks& in) {
  return {{"logits", multiply(block(in, "e"), block(in, "xf"))}};
}

Blocks classifier_backward(const Blocks& in) {
  return {{"dxf", multiply(transpose(block(in, "e")), block(in, "dlogits"))}};
}

}  // namespace aneroid::kernels::plain
