// Sums over the Bernoulli children of a dense weight, for the flip of every parent unit in every example.
//
// `rise` is the shift of every child logit when a parent unit goes up. Flipping unit i shifts child logit a_j by
// delta_ij = +-rise_ij, + for a unit that is low, and its factor is f_ij = sigmoid(a_j) exp(delta_ij) + sigmoid(-a_j),
// between exp(delta_ij) and 1. Two sums are offered:
//
//   growth   sum_j log f_ij, by which the softplus of the child logits grows;
//   energy   sum_j z sigmoid(z) with z = a_j + delta_ij, as one fraction over the product of the factors.
//
// The vectors run along the children, so a unit's state chooses a row and not a lane. The factors are multiplied; the
// exponent is taken out of the product as often as the largest weight of the row demands, and only the caller takes a
// logarithm. Rows whose weights leave the range of floats even so take the slow way, a softplus for every factor.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "share.h"
#include "vectors.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

constexpr int kRows = 4;  // parents at a time: they share what is read of the children

// What one call is about. The arrays begin with the seeds. `logits`, `up` = sigmoid(logits) and `low` =
// sigmoid(-logits) are padded to whole vectors of children, with logits of 0.
template <typename T>
struct Call {
  const T *rise = nullptr, *state = nullptr;
  int64_t parents = 0, children = 0, padded = 0, batch = 0;
  Lines<T> logits{}, up{}, low{};
  T *first = nullptr, *second = nullptr;  // the results
};

template <typename T>
INLINE void read_children(Call<T> &call, const T *logits, int64_t examples) {
  for (auto *padded : {&call.logits, &call.up, &call.low}) padded->resize(examples * call.padded);
  for (int64_t example = 0; example < examples; example++)
    std::copy_n(logits + example * call.children, call.children, call.logits.data() + example * call.padded);
  for (int64_t at = 0; at < examples * call.padded; at += kLanes<T>) {
    const Vector<T> a = load(call.logits.data() + at);
    const Vector<T> size = a < 0 ? -a : a;
    const Vector<T> small = exponential<T>(size < Float<T>::certain ? -size : Vector<T>{} - Float<T>::certain);
    const Vector<T> unlikely = small / (1 + small), likely = 1 - unlikely;
    // What is no number stays none.
    store<T>(call.up.data() + at, a > 0 ? likely : a <= 0 ? unlikely : a);
    store<T>(call.low.data() + at, a > 0 ? unlikely : a <= 0 ? likely : a);
  }
}

// A few rows of `rise`: delta for units that go up, and the exponentials of delta and of -delta, padded with no
// change. `chunk` is how many vectors of factors may be multiplied before the product may leave the range; 0 for none.
// With `less_one` what is stored is the exponentials less one: see `Growth`.
template <typename T>
struct Rows {
  Lines<T> rise, rising, falling;
  int64_t index[kRows], chunk;
  bool less_one = false;
};

template <typename T>
INLINE Rows<T> read_rows(const Call<T> &call, int64_t seed, int64_t first, T less_one_up_to) {
  Rows<T> rows;
  for (auto *padded : {&rows.rise, &rows.rising, &rows.falling}) padded->resize(kRows * call.padded);
  Vector<T> largest{}, total{};
  for (int k = 0; k < kRows; k++) {
    rows.index[k] = std::min(first + k, call.parents - 1);
    T *rise = rows.rise.data() + k * call.padded;
    std::copy_n(call.rise + (seed * call.parents + rows.index[k]) * call.children, call.children, rise);
    for (int64_t at = 0; at < call.padded; at += kLanes<T>) {
      const Vector<T> delta = load(rise + at), size = delta < 0 ? -delta : delta;
      largest = size > largest ? size : largest;
      total += size;
      store<T>(rows.rising.data() + k * call.padded + at, exponential<T>(delta));
      store<T>(rows.falling.data() + k * call.padded + at, exponential<T>(-delta));
    }
  }
  T most = folded<T>(largest, [](Vector<T> a, Vector<T> b) INLINE_LAMBDA { return a > b ? a : b; });
  // The maximum passes over what is no number; the slow way, which `most` then leads to, does not.
  if (std::isnan(sum_of_lanes<T>(total))) most = std::numeric_limits<T>::quiet_NaN();
  const int64_t vectors = call.padded / kLanes<T>;
  rows.chunk = most * vectors <= Float<T>::range ? vectors : most <= Float<T>::range ? Float<T>::range / most : 0;
  rows.less_one = most <= less_one_up_to;
  if (rows.less_one)
    for (auto *exponentials : {&rows.rising, &rows.falling})
      for (int64_t at = 0; at < kRows * call.padded; at += kLanes<T>)
        store<T>(exponentials->data() + at, load(exponentials->data() + at) - 1);
  return rows;
}

// The mantissa and the exponent of the product of the factors.
//
// Where the weights are small a factor is nearly 1, and is added less one: rounded to the grid around 1 it would lose its
// digits, and its product with others err to one side. Where they are not, the difference would lose the digits.
template <typename T>
struct Growth {
  static constexpr bool two_results = true;
  static constexpr T less_one_up_to = 3;
  Vector<T> product = Vector<T>{} + 1;
  Bits<T> exponent{};

  template <bool less_one>
  INLINE void add(Vector<T> scaled, Vector<T> low, Vector<T>, Vector<T>, T) {
    if constexpr (less_one)
      product += product * scaled;
    else
      product *= scaled + low;
  }
  INLINE void normalise() {
    const Bits<T> bits = (Bits<T>)product, shift = (bits >> Float<T>::digits) - Float<T>::bias;
    exponent += shift;
    const Vector<T> mantissa = (Vector<T>)(bits - (shift << Float<T>::digits));
    product = product == product ? mantissa : product;
  }
  INLINE void finish(T *mantissa, T *exponents) const {
    *mantissa = product_of_lanes<T>(product);
    *exponents = sum_of_lanes<T>(__builtin_convertvector(exponent, Vector<T>));
  }
  static void slowly(const T *logits, const T *rise, T sign, int64_t children, T *mantissa, T *exponents) {
    const auto softplus = [](T x) { return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))); };
    T total = 0;
    for (int64_t j = 0; j < children; j++) total += softplus(logits[j] + sign * rise[j]) - softplus(logits[j]);
    *mantissa = 1;
    *exponents = total / T(0.69314718055994530942);
  }
};

// `energy / product`, what is known of the sum so far, and `total`, what was before the last division.
template <typename T>
struct Energy {
  static constexpr bool two_results = false;
  static constexpr T less_one_up_to = -1;
  Vector<T> product = Vector<T>{} + 1, energy{}, total{};

  template <bool less_one>
  INLINE void add(Vector<T> scaled, Vector<T> low, Vector<T> logits, Vector<T> rise, T sign) {
    const Vector<T> factor = scaled + low;
    energy = energy * factor + scaled * (rise * sign + logits) * product;
    product *= factor;
  }
  INLINE void normalise() {
    total += energy / product;
    energy = Vector<T>{};
    product = Vector<T>{} + 1;
  }
  INLINE void finish(T *sum, T *) const { *sum = sum_of_lanes<T>(total); }
  static void slowly(const T *logits, const T *rise, T sign, int64_t children, T *sum, T *) {
    *sum = 0;
    for (int64_t j = 0; j < children; j++) {
      const T z = logits[j] + sign * rise[j];
      *sum += z / (1 + std::exp(-z));
    }
  }
};

template <typename T, template <typename> typename Sum>
INLINE void sum_rows(const Call<T> &call, int64_t seed, int64_t first) {
  const Rows<T> rows = read_rows(call, seed, first, Sum<T>::less_one_up_to);
  const int count = std::min<int64_t>(kRows, call.parents - first);
  const int64_t vectors = call.padded / kLanes<T>;
  for (int64_t example = seed * call.batch; example < (seed + 1) * call.batch; example++) {
    const T *logits = call.logits.data() + example * call.padded, *up = call.up.data() + example * call.padded,
            *low = call.low.data() + example * call.padded;
    const T *change[kRows], *rise[kRows];
    T sign[kRows];
    Sum<T> sums[kRows];
    for (int k = 0; k < kRows; k++) {
      const bool falls = call.state[example * call.parents + rows.index[k]] > T(0.5);
      change[k] = (falls ? rows.falling : rows.rising).data() + k * call.padded;
      rise[k] = rows.rise.data() + k * call.padded;
      sign[k] = falls ? -1 : 1;
    }
    const auto add_children = [&](auto less_one) INLINE_LAMBDA {
      for (int64_t start = 0; start < vectors; start += rows.chunk) {
        for (int64_t v = start; v < std::min(vectors, start + rows.chunk); v++) {
          const int64_t at = v * kLanes<T>;
          const Vector<T> of_up = load(up + at), of_low = load(low + at), of_logits = load(logits + at);
          for (int k = 0; k < kRows; k++)
            sums[k].template add<less_one>(load(change[k] + at) * of_up, of_low, of_logits, load(rise[k] + at), sign[k]);
        }
        for (int k = 0; k < kRows; k++) sums[k].normalise();
      }
    };
    if (rows.chunk > 0 && rows.less_one)
      add_children(std::true_type{});
    else if (rows.chunk > 0)
      add_children(std::false_type{});
    for (int k = 0; k < count; k++) {
      T *result = call.first + example * call.parents + rows.index[k];
      T *other = Sum<T>::two_results ? call.second + example * call.parents + rows.index[k] : nullptr;
      if (rows.chunk > 0)
        sums[k].finish(result, other);
      else
        Sum<T>::slowly(logits, rise[k], sign[k], call.children, result, other);
    }
  }
}

// One plain function for every sum and type, since clones cannot be templates.
#define DEFINE_FOR_EVERY_CPU(name, T, Sum)                                                 \
  FOR_EVERY_CPU void name(const Call<T> &call, int64_t seed, int64_t first) {              \
    sum_rows<T, Sum>(call, seed, first);                                                   \
  }
DEFINE_FOR_EVERY_CPU(growth_of_floats, float, Growth)
DEFINE_FOR_EVERY_CPU(growth_of_doubles, double, Growth)
DEFINE_FOR_EVERY_CPU(energy_of_floats, float, Energy)
DEFINE_FOR_EVERY_CPU(energy_of_doubles, double, Energy)
FOR_EVERY_CPU void read_floats(Call<float> &call, const float *logits, int64_t examples) {
  read_children(call, logits, examples);
}
FOR_EVERY_CPU void read_doubles(Call<double> &call, const double *logits, int64_t examples) {
  read_children(call, logits, examples);
}

constexpr int64_t kWorthAThread = 1 << 18;  // factors: below, waking one costs more than it saves

template <typename T, void (*read)(Call<T> &, const T *, int64_t), void (*sum)(const Call<T> &, int64_t, int64_t)>
ffi::Error run(ffi::ThreadPool pool, ffi::Span<const int64_t> rise, ffi::Span<const int64_t> logits, Call<T> call,
               const T *logits_data) {
  const int64_t seeds = rise[0], blocks = (rise[1] + kRows - 1) / kRows;
  call.parents = rise[1];
  call.children = rise[2];
  call.padded = (call.children + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
  call.batch = logits[1];
  read(call, logits_data, seeds * call.batch);
  const int64_t factors = seeds * call.batch * call.parents * call.children;
  const int64_t threads = std::min({factors / kWorthAThread + 1, pool.num_threads(), seeds * blocks});
  share(pool, threads - 1, seeds * blocks,
        [&call, blocks](int64_t item) { sum(call, item / blocks, item % blocks * kRows); });
  return ffi::Error::Success();
}

template <typename T, ffi::DataType D, auto read, auto sum>
ffi::Error growth(ffi::ThreadPool pool, ffi::Buffer<D, 3> rise, ffi::Buffer<D, 3> logits, ffi::Buffer<D, 3> state,
                  ffi::ResultBuffer<D, 3> mantissa, ffi::ResultBuffer<D, 3> exponent) {
  Call<T> call;
  call.rise = rise.typed_data();
  call.state = state.typed_data();
  call.first = mantissa->typed_data();
  call.second = exponent->typed_data();
  return run<T, read, sum>(pool, rise.dimensions(), logits.dimensions(), std::move(call), logits.typed_data());
}

template <typename T, ffi::DataType D, auto read, auto sum>
ffi::Error energy(ffi::ThreadPool pool, ffi::Buffer<D, 3> rise, ffi::Buffer<D, 3> logits, ffi::Buffer<D, 3> state,
                  ffi::ResultBuffer<D, 3> result) {
  Call<T> call;
  call.rise = rise.typed_data();
  call.state = state.typed_data();
  call.first = result->typed_data();
  return run<T, read, sum>(pool, rise.dimensions(), logits.dimensions(), std::move(call), logits.typed_data());
}

template <ffi::DataType D>
auto arguments() {
  using Array = ffi::Buffer<D, 3>;
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().template Arg<Array>().template Arg<Array>().template Arg<Array>();
}

template <ffi::DataType D>
auto growth_binding() {
  using Array = ffi::Buffer<D, 3>;
  return arguments<D>().template Ret<Array>().template Ret<Array>();
}

template <ffi::DataType D>
auto energy_binding() {
  return arguments<D>().template Ret<ffi::Buffer<D, 3>>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_growth_float32, (growth<float, ffi::F32, read_floats, growth_of_floats>),
                              growth_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_growth_float64, (growth<double, ffi::F64, read_doubles, growth_of_doubles>),
                              growth_binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_energy_float32, (energy<float, ffi::F32, read_floats, energy_of_floats>),
                              energy_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_energy_float64, (energy<double, ffi::F64, read_doubles, energy_of_doubles>),
                              energy_binding<ffi::F64>());
