// A BLAS in place of our own kernels for fp32 sums: Accelerate on a Mac, whose
// matrix unit no vector code can reach. The cutting into tiles, the conversion
// from and to fp16 and the threads stay ours: each call is one tile on one
// thread.
#pragma once

#include <cstdint>

namespace aneroid::cpu {

// C[m, n] = op(A)[m, k] op(B)[k, n] (+ C), row-major fp32; `lda` elements
// between rows of A as it is stored: [m, k], or [k, m] when transposed.
struct BlasCall {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const float* a = nullptr;
  int64_t lda = 0;
  bool a_transposed = false;
  const float* b = nullptr;
  int64_t ldb = 0;
  bool b_transposed = false;
  float* c = nullptr;
  int64_t ldc = 0;
  bool add = false;  // to what C holds
};
// Must be callable from several threads at once.
using BlasFunction = void (*)(const BlasCall&);

// What the system offers: Accelerate on macOS, nothing elsewhere.
BlasFunction system_blas();

// The one in use; null: our own kernels. At first system_blas(). Change it only
// while no product is queued or running.
BlasFunction blas();
void use_blas(BlasFunction function);

}  // namespace aneroid::cpu
