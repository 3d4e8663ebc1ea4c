// Vectors of floats or doubles, the exponential of one, and folding one into a number.

#ifndef HNCA_VECTORS_H_
#define HNCA_VECTORS_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

// What is marked so is inlined into functions that are compiled for one generation of CPUs: see cpus.h.
#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

constexpr int kLine = 64;  // bytes of a line of the cache, and of the longest vector

// Attributes: `range`, the exponents that a product may reach; `certain`, a logit whose sigmoid is as good as 1;
// `degree`, of the polynomial for the exponential; ln 2 in two parts, the first of few digits.
template <typename T>
struct Float;

template <>
struct Float<float> {
  using Integer = int32_t;
  static constexpr int digits = 23, bias = 127, degree = 7;
  static constexpr float range = 60, certain = 85, ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723e-6f;
};

template <>
struct Float<double> {
  using Integer = int64_t;
  static constexpr int digits = 52, bias = 1023, degree = 13;
  static constexpr double range = 600, certain = 700, ln2_high = 0.693147180369123816, ln2_low = 1.90821492927058770e-10;
};

// Vectors of as many bytes as the CPU's own: of longer ones the compiler makes code that is slower than none.
template <typename T, int bytes>
struct Of : Float<T> {
  using Number = T;
  static constexpr int lanes = bytes / sizeof(T);
  typedef T Vector __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
  typedef typename Float<T>::Integer Bits __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
};

// `V` is one of these kinds of vectors throughout.
template <typename V>
using Number = typename V::Number;
template <typename V>
using Vector = typename V::Vector;
template <typename V>
using Bits = typename V::Bits;

// A row of whole vectors, each in one line of the cache: one that lies across two takes twice as long to load.
template <typename T>
struct InWholeLines {
  using value_type = T;
  T *allocate(std::size_t count) { return static_cast<T *>(::operator new(count * sizeof(T), std::align_val_t(kLine))); }
  void deallocate(T *at, std::size_t) { ::operator delete(at, std::align_val_t(kLine)); }
  template <typename U>
  void construct(U *) noexcept {}  // what is not written is not read
  bool operator==(const InWholeLines &) const { return true; }
  bool operator!=(const InWholeLines &) const { return false; }
};

template <typename T>
using Lines = std::vector<T, InWholeLines<T>>;

template <typename V>
INLINE Vector<V> load(const Number<V> *from) {
  return *reinterpret_cast<const Vector<V> *>(from);
}

template <typename V>
INLINE void store(Number<V> *to, Vector<V> value) {
  *reinterpret_cast<Vector<V> *>(to) = value;
}

// e^x and e^-x.
template <typename V>
struct Exponentials {
  Vector<V> of_plus, of_minus;
};

// 1 / n! for every power of the polynomial, as constants: compilers differ in which calls they compute beforehand.
template <typename V>
struct Taylor {
  Number<V> of[V::degree + 1];
  constexpr Taylor() : of{1} {
    double factorial = 1;
    for (int n = 1; n <= V::degree; n++) of[n] = Number<V>(1 / (factorial *= n));
  }
};

// Both for |x| <= certain: 2^k e^r and 2^-k e^-r with |r| <= ln(2) / 2, and the Taylor polynomial of e^r, whose even
// and odd terms make e^-r too.
template <typename V>
INLINE Exponentials<V> exponentials(Vector<V> x) {
  using T = Number<V>;
  const Vector<V> shifter = Vector<V>{} + T(1.5) * T(int64_t(1) << V::digits);
  const Vector<V> shifted = x * T(1.44269504088896340736) + shifter;
  const Vector<V> k = shifted - shifter;
  const Vector<V> r = (x - k * V::ln2_high) - k * V::ln2_low, square = r * r;
  constexpr Taylor<V> coefficient;
  Vector<V> even = Vector<V>{} + coefficient.of[V::degree - 1], odd = Vector<V>{} + coefficient.of[V::degree];
  for (int n = V::degree - 2; n > 0; n -= 2) {
    odd = odd * square + coefficient.of[n];
    even = even * square + coefficient.of[n - 1];
  }
  odd *= r;
  const Bits<V> power = ((Bits<V>)shifted - (Bits<V>)shifter) << V::digits;
  return {(Vector<V>)((Bits<V>)(even + odd) + power), (Vector<V>)((Bits<V>)(even - odd) - power)};
}

// A vector with neighbouring groups of `width` lanes exchanged.
template <typename V, int width, int... lane>
INLINE Vector<V> exchanged(Vector<V> v, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(v, v, (lane ^ width)...);
}

// Folds a vector, group by group, into one number.
template <typename V, int width = V::lanes / 2, typename Fold>
INLINE Number<V> folded(Vector<V> v, Fold fold) {
  v = fold(v, exchanged<V, width>(v, std::make_integer_sequence<int, V::lanes>{}));
  if constexpr (width > 1)
    return folded<V, width / 2>(v, fold);
  else
    return v[0];
}

template <typename V>
INLINE Number<V> product_of_lanes(Vector<V> v) {
  return folded<V>(v, [](Vector<V> a, Vector<V> b) INLINE_LAMBDA { return a * b; });
}

template <typename V>
INLINE Number<V> sum_of_lanes(Vector<V> v) {
  return folded<V>(v, [](Vector<V> a, Vector<V> b) INLINE_LAMBDA { return a + b; });
}

#endif  // HNCA_VECTORS_H_
