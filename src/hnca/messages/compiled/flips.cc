// Sums over the Bernoulli children of a dense weight, for the flip of every parent unit in every example.
//
// `rise` is the shift of every child logit when a parent unit goes up. Flipping unit i shifts child logit a_j by
// delta_ij = +-rise_ij, + for a unit that is low. Three kinds of sums are offered, all of factors between 1 and an
// exponential, which are multiplied:
//
//   message             sum_j log (P(child as it is) + P(child otherwise) exp(-+delta_ij)), - for a child that is up:
//                       what the log-probability of the children loses by the flip;
//   growth and energy   sum_j log (sigmoid(-a_j) + sigmoid(a_j) exp(delta_ij)), by which the softplus of the child
//                       logits grows, and sum_j z sigmoid(z) with z = a_j + delta_ij, as one fraction over the product;
//   mean                sum_j slope_j sigmoid(z), as one fraction over the same product.
//
// The vectors run along the children, so a unit's state chooses a row and not a lane. The exponent is taken out of the
// product as often as the largest weight of the row demands, and only the caller takes a logarithm. Rows whose weights
// leave the range of floats even so take the slow way, a softplus for every factor.

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "cpus.h"
#include "rows.h"
#include "share.h"
#include "sums.h"
#include "vectors.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

template <typename V, template <typename> typename Sum, typename T = Number<V>>
INLINE void sum_rows(const Call<T> &call, int64_t seed, int64_t first) {
  const Rows<T> rows = read_rows<V>(call, seed, first);
  const int count = std::min<int64_t>(kRows, call.parents - first);
  const int64_t vectors = call.padded / V::lanes;
  for (int64_t example = seed * call.batch; example < (seed + 1) * call.batch; example++) {
    const int64_t start_of_example = example * call.padded;
    const T *logits = call.padded_logits.data() + start_of_example, *taken = call.up.data() + start_of_example,
            *changing = call.changing.data() + start_of_example, *staying = call.staying.data() + start_of_example,
            *slopes = call.padded_slopes.data() + start_of_example;
    const T *change[kRows], *opposite[kRows], *rise[kRows];
    T sign[kRows];
    Sum<V> sums[kRows];
    for (int k = 0; k < kRows; k++) {
      const bool falls = call.state[example * call.parents + rows.index[k]] > T(0.5);
      change[k] = (falls ? rows.falling : rows.rising).data() + k * call.padded;
      opposite[k] = (falls ? rows.rising : rows.falling).data() + k * call.padded;
      rise[k] = rows.rise.data() + k * call.padded;
      sign[k] = falls ? -1 : 1;
    }
    const auto add_children = [&](auto less_one) INLINE_LAMBDA {
      for (int64_t start = 0; start < vectors; start += rows.chunk) {
        for (int64_t v = start; v < std::min(vectors, start + rows.chunk); v++) {
          const int64_t at = v * V::lanes;
          const Vector<V> changes = load<V>(changing + at), stays = load<V>(staying + at);
          for (int k = 0; k < kRows; k++) {
            if constexpr (Sum<V>::of_taken)
              sums[k].template add<less_one>(load<V>(taken + at) > T(0.5) ? load<V>(opposite[k] + at) : load<V>(change[k] + at),
                                             changes, stays, Vector<V>{}, Vector<V>{}, T(0));
            else if constexpr (Sum<V>::of_slopes)
              sums[k].template add<less_one>(load<V>(change[k] + at), changes, stays, load<V>(slopes + at), Vector<V>{}, T(0));
            else
              sums[k].template add<less_one>(load<V>(change[k] + at), changes, stays, load<V>(logits + at),
                                             load<V>(rise[k] + at), sign[k]);
          }
        }
        for (int k = 0; k < kRows; k++) sums[k].normalise();
      }
    };
    if (rows.chunk > 0 && rows.less_one)
      add_children(std::true_type{});
    else if (rows.chunk > 0)
      add_children(std::false_type{});
    for (int k = 0; k < count; k++) {
      const int64_t at = example * call.parents + rows.index[k];
      if (rows.chunk > 0)
        sums[k].finish(call, at);
      else
        sum_slowly(call, rise[k], sign[k], example, at);
      if (call.has_between[example]) call.exponent[at] += between(call, rise[k], sign[k], example);
    }
  }
}

template <typename V>
struct Reading {
  INLINE static void run(Call<Number<V>> *call, int64_t examples) { read_children<V>(*call, examples); }
};

template <template <typename> typename Sum>
struct Summing {
  template <typename V>
  struct Of {
    INLINE static void run(const Call<Number<V>> *call, int64_t seed, int64_t first) {
      sum_rows<V, Sum>(*call, seed, first);
    }
  };
};

constexpr int64_t kWorthAThread = 1 << 18;  // factors: below, waking one costs more than it saves

template <template <typename> typename Sum, typename T>
ffi::Error run(ffi::ThreadPool pool, ffi::Span<const int64_t> rise, ffi::Span<const int64_t> logits, Call<T> call) {
  const int64_t seeds = rise[0], blocks = (rise[1] + kRows - 1) / kRows;
  call.parents = rise[1];
  call.children = rise[2];
  constexpr int64_t whole = kLine / sizeof(T);
  call.padded = (call.children + whole - 1) / whole * whole;
  call.batch = logits[1];
  on_this_cpu<Reading, T>(&call, seeds * call.batch);
  const int64_t factors = seeds * call.batch * call.parents * call.children;
  const int64_t threads = std::min({factors / kWorthAThread + 1, pool.num_threads(), seeds * blocks});
  share(pool, threads - 1, seeds * blocks,
        [call = &std::as_const(call), blocks](int64_t item) {
          on_this_cpu<Summing<Sum>::template Of, T>(call, item / blocks, item % blocks * kRows);
        });
  return ffi::Error::Success();
}

template <typename T, ffi::DataType D>
ffi::Error message(ffi::ThreadPool pool, ffi::Buffer<D, 3> rise, ffi::Buffer<D, 3> logits, ffi::Buffer<D, 3> taken,
                   ffi::Buffer<D, 3> state, ffi::ResultBuffer<D, 3> mantissa, ffi::ResultBuffer<D, 3> exponent) {
  Call<T> call;
  call.rise = rise.typed_data();
  call.logits = logits.typed_data();
  call.taken = taken.typed_data();
  call.state = state.typed_data();
  call.mantissa = mantissa->typed_data();
  call.exponent = exponent->typed_data();
  return run<Message>(pool, rise.dimensions(), logits.dimensions(), std::move(call));
}

template <typename T, ffi::DataType D>
ffi::Error growth_and_energy(ffi::ThreadPool pool, ffi::Buffer<D, 3> rise, ffi::Buffer<D, 3> logits,
                             ffi::Buffer<D, 3> state, ffi::ResultBuffer<D, 3> mantissa,
                             ffi::ResultBuffer<D, 3> exponent, ffi::ResultBuffer<D, 3> energy) {
  Call<T> call;
  call.rise = rise.typed_data();
  call.logits = logits.typed_data();
  call.state = state.typed_data();
  call.mantissa = mantissa->typed_data();
  call.exponent = exponent->typed_data();
  call.energy = energy->typed_data();
  return run<GrowthAndEnergy>(pool, rise.dimensions(), logits.dimensions(), std::move(call));
}

template <typename T, ffi::DataType D>
ffi::Error mean(ffi::ThreadPool pool, ffi::Buffer<D, 3> rise, ffi::Buffer<D, 3> logits, ffi::Buffer<D, 3> slopes,
                ffi::Buffer<D, 3> state, ffi::ResultBuffer<D, 3> mean) {
  Call<T> call;
  call.rise = rise.typed_data();
  call.logits = logits.typed_data();
  call.slopes = slopes.typed_data();
  call.state = state.typed_data();
  call.energy = mean->typed_data();
  return run<Mean>(pool, rise.dimensions(), logits.dimensions(), std::move(call));
}

template <ffi::DataType D>
auto arguments() {
  using Array = ffi::Buffer<D, 3>;
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().template Arg<Array>().template Arg<Array>().template Arg<Array>();
}

template <ffi::DataType D>
auto message_binding() {
  using Array = ffi::Buffer<D, 3>;
  return arguments<D>().template Arg<Array>().template Ret<Array>().template Ret<Array>();
}

template <ffi::DataType D>
auto growth_binding() {
  using Array = ffi::Buffer<D, 3>;
  return arguments<D>().template Ret<Array>().template Ret<Array>().template Ret<Array>();
}

template <ffi::DataType D>
auto mean_binding() {
  using Array = ffi::Buffer<D, 3>;
  return arguments<D>().template Arg<Array>().template Ret<Array>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_message_float32, (message<float, ffi::F32>),
                              message_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_message_float64, (message<double, ffi::F64>),
                              message_binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_growth_and_energy_float32,
                              (growth_and_energy<float, ffi::F32>),
                              growth_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_growth_and_energy_float64,
                              (growth_and_energy<double, ffi::F64>),
                              growth_binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_mean_float32, (mean<float, ffi::F32>),
                              mean_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(hnca_mean_float64, (mean<double, ffi::F64>),
                              mean_binding<ffi::F64>());

// From now on uses no longer vectors than of so many bytes; returns of how many they are.
extern "C" int hnca_use_vectors_up_to(int bytes) { return vector_bytes() = longest_vector(bytes); }
