// What is compiled once for every generation of CPUs, each with vectors of its own length, and which of them is used.

#ifndef HNCA_CPUS_H_
#define HNCA_CPUS_H_

#include <atomic>
#include <cstdint>

#include "rows.h"
#include "vectors.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_GENERATIONS 1
#define BY_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define BY_AVX2 __attribute__((target("avx2,fma")))
#else
#define HAS_GENERATIONS 0
#endif

namespace {

// Bytes of the longest vectors that the CPU has, of those that functions are compiled for, up to a limit.
inline int longest_vector(int most) {
#if HAS_GENERATIONS
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (most >= 64 && has_avx512) return 64;
  if (most >= 32 && has_avx2) return 32;
#endif
  return 16;
}

// Bytes of those that are used.
inline std::atomic<int> &vector_bytes() {
  static std::atomic<int> bytes{longest_vector(kLine)};
  return bytes;
}

// One function of `Work`, whose `run` is inlined, for each generation.
template <template <typename> typename Work, typename T, typename... Arguments>
void plainly(Arguments... arguments) {
  Work<Of<T, 16>>::run(arguments...);
}
#if HAS_GENERATIONS
template <template <typename> typename Work, typename T, typename... Arguments>
BY_AVX2 void by_avx2(Arguments... arguments) {
  Work<Of<T, 32>>::run(arguments...);
}
template <template <typename> typename Work, typename T, typename... Arguments>
BY_AVX512 void by_avx512(Arguments... arguments) {
  Work<Of<T, 64>>::run(arguments...);
}
#endif

// Does the work by the longest vectors.
template <template <typename> typename Work, typename T, typename... Arguments>
void on_this_cpu(Arguments... arguments) {
#if HAS_GENERATIONS
  const int bytes = vector_bytes().load(std::memory_order_relaxed);
  if (bytes == 64) return by_avx512<Work, T, Arguments...>(arguments...);
  if (bytes == 32) return by_avx2<Work, T, Arguments...>(arguments...);
#endif
  plainly<Work, T, Arguments...>(arguments...);
}

}  // namespace

#endif  // HNCA_CPUS_H_
