// Vectors of floats or doubles, the exponential of one, and folding one into a number.

#ifndef HNCA_VECTORS_H_
#define HNCA_VECTORS_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

// Compiled once for each of these, and chosen by what the CPU can do when the library is loaded.
#if defined(__x86_64__) && defined(__linux__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define FOR_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif
#ifndef FOR_EVERY_CPU
#define FOR_EVERY_CPU
#endif
#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

constexpr int kBytes = 64;  // of a vector

// Attributes: `range`, the exponents that a product may reach; `certain`, a logit whose sigmoid is as good as 1;
// `degree`, of the polynomial for the exponential; ln 2 in two parts, the first of few digits.
template <typename T>
struct Float;

template <>
struct Float<float> {
  typedef float Vector __attribute__((vector_size(kBytes), aligned(4), may_alias));
  typedef int32_t Bits __attribute__((vector_size(kBytes), aligned(4), may_alias));
  static constexpr int digits = 23, bias = 127, degree = 7;
  static constexpr float range = 60, certain = 85, ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723e-6f;
};

template <>
struct Float<double> {
  typedef double Vector __attribute__((vector_size(kBytes), aligned(8), may_alias));
  typedef int64_t Bits __attribute__((vector_size(kBytes), aligned(8), may_alias));
  static constexpr int digits = 52, bias = 1023, degree = 13;
  static constexpr double range = 600, certain = 700, ln2_high = 0.693147180369123816, ln2_low = 1.90821492927058770e-10;
};

template <typename T>
using Vector = typename Float<T>::Vector;
template <typename T>
using Bits = typename Float<T>::Bits;
template <typename T>
constexpr int kLanes = kBytes / sizeof(T);

// A row of whole vectors, each in one line of the cache: one that lies across two takes twice as long to load.
template <typename T>
struct InWholeLines {
  using value_type = T;
  T *allocate(std::size_t count) { return static_cast<T *>(::operator new(count * sizeof(T), std::align_val_t(kBytes))); }
  void deallocate(T *at, std::size_t) { ::operator delete(at, std::align_val_t(kBytes)); }
  template <typename U>
  void construct(U *) noexcept {}  // what is not written is not read
  bool operator==(const InWholeLines &) const { return true; }
  bool operator!=(const InWholeLines &) const { return false; }
};

template <typename T>
using Lines = std::vector<T, InWholeLines<T>>;

template <typename T>
INLINE Vector<T> load(const T *from) {
  return *reinterpret_cast<const Vector<T> *>(from);
}

template <typename T>
INLINE void store(T *to, Vector<T> value) {
  *reinterpret_cast<Vector<T> *>(to) = value;
}

// e^x and e^-x.
template <typename T>
struct Exponentials {
  Vector<T> of_plus, of_minus;
};

constexpr double factorial(int n) { return n > 1 ? n * factorial(n - 1) : 1; }

// Both for |x| <= certain: 2^k e^r and 2^-k e^-r with |r| <= ln(2) / 2, and the Taylor polynomial of e^r, whose even
// and odd terms make e^-r too.
template <typename T>
INLINE Exponentials<T> exponentials(Vector<T> x) {
  using F = Float<T>;
  const Vector<T> shifter = Vector<T>{} + T(1.5) * T(int64_t(1) << F::digits);
  const Vector<T> shifted = x * T(1.44269504088896340736) + shifter;
  const Vector<T> k = shifted - shifter;
  const Vector<T> r = (x - k * F::ln2_high) - k * F::ln2_low, square = r * r;
  Vector<T> even = Vector<T>{} + T(1 / factorial(F::degree - 1)), odd = Vector<T>{} + T(1 / factorial(F::degree));
  for (int n = F::degree - 2; n > 0; n -= 2) {
    odd = odd * square + T(1 / factorial(n));
    even = even * square + T(1 / factorial(n - 1));
  }
  odd *= r;
  const Bits<T> power = ((Bits<T>)shifted - (Bits<T>)shifter) << F::digits;
  return {(Vector<T>)((Bits<T>)(even + odd) + power), (Vector<T>)((Bits<T>)(even - odd) - power)};
}

// A vector with neighbouring groups of `width` lanes exchanged.
template <int width>
INLINE Vector<float> exchanged(Vector<float> v) {
  constexpr int w = width;
  return __builtin_shufflevector(v, v, 0 ^ w, 1 ^ w, 2 ^ w, 3 ^ w, 4 ^ w, 5 ^ w, 6 ^ w, 7 ^ w, 8 ^ w, 9 ^ w, 10 ^ w,
                                 11 ^ w, 12 ^ w, 13 ^ w, 14 ^ w, 15 ^ w);
}

template <int width>
INLINE Vector<double> exchanged(Vector<double> v) {
  constexpr int w = width;
  return __builtin_shufflevector(v, v, 0 ^ w, 1 ^ w, 2 ^ w, 3 ^ w, 4 ^ w, 5 ^ w, 6 ^ w, 7 ^ w);
}

// Folds a vector, group by group, into one number.
template <typename T, typename Fold>
INLINE T folded(Vector<T> v, Fold fold) {
  if constexpr (kLanes<T> > 8) v = fold(v, exchanged<8>(v));
  v = fold(v, exchanged<4>(v));
  v = fold(v, exchanged<2>(v));
  return fold(v, exchanged<1>(v))[0];
}

template <typename T>
INLINE T product_of_lanes(Vector<T> v) {
  return folded<T>(v, [](Vector<T> a, Vector<T> b) INLINE_LAMBDA { return a * b; });
}

template <typename T>
INLINE T sum_of_lanes(Vector<T> v) {
  return folded<T>(v, [](Vector<T> a, Vector<T> b) INLINE_LAMBDA { return a + b; });
}

#endif  // HNCA_VECTORS_H_
