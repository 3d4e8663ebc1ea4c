// The sums over the children, a vector at a time, and the slow way to them.

#ifndef HNCA_SUMS_H_
#define HNCA_SUMS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "rows.h"
#include "vectors.h"

namespace {

// The mantissa and the exponent of the product of the factors.
//
// Where the weights are small a factor is nearly 1, and is added less one: rounded to the grid around 1 it would lose its
// digits, and its product with others err to one side. Where they are not, the difference would lose the digits.
template <typename V>
struct Message {
  static constexpr bool of_taken = true, of_slopes = false;
  Vector<V> product = Vector<V>{} + 1;
  Bits<V> exponent{};

  template <bool less_one>
  INLINE void add(Vector<V> change, Vector<V> changing, Vector<V> staying, Vector<V>, Vector<V>, Number<V>) {
    if constexpr (less_one)
      product += product * (change * changing);
    else
      product *= change * changing + staying;
  }
  INLINE void normalise() {
    const Bits<V> bits = (Bits<V>)product, shift = (bits >> V::digits) - V::bias;
    exponent += shift;
    const Vector<V> mantissa = (Vector<V>)(bits - (shift << V::digits));
    product = product == product ? mantissa : product;
  }
  INLINE void finish(const Call<Number<V>> &call, int64_t at) const {
    call.mantissa[at] = product_of_lanes<V>(product);
    call.exponent[at] = sum_of_lanes<V>(__builtin_convertvector(exponent, Vector<V>));
  }
};

// Beside it `energy / product`, what is known of the sum so far, and `total`, what was before the last division.
template <typename V>
struct GrowthAndEnergy : Message<V> {
  static constexpr bool of_taken = false;
  Vector<V> energy{}, total{};

  template <bool less_one>
  INLINE void add(Vector<V> change, Vector<V> up, Vector<V> low, Vector<V> logits, Vector<V> rise, Number<V> sign) {
    const Vector<V> after = rise * sign + logits, scaled = change * up;
    if constexpr (less_one)
      energy += energy * scaled + (scaled + up) * after * this->product;
    else
      energy = energy * (scaled + low) + scaled * after * this->product;
    Message<V>::template add<less_one>(change, up, low, logits, rise, sign);
  }
  INLINE void normalise() {
    total += energy / this->product;
    energy = Vector<V>{};
    Message<V>::normalise();
  }
  INLINE void finish(const Call<Number<V>> &call, int64_t at) const {
    Message<V>::finish(call, at);
    call.energy[at] = sum_of_lanes<V>(total);
  }
};

// The mean is the same fraction, of slopes where the energy has shifted logits.
template <typename V>
struct Mean : GrowthAndEnergy<V> {
  static constexpr bool of_slopes = true;
  INLINE void finish(const Call<Number<V>> &call, int64_t at) const { call.energy[at] = sum_of_lanes<V>(this->total); }
};

// The slow way, with the logarithm of the product as its exponent.
template <typename T>
void sum_slowly(const Call<T> &call, const T *rise, T sign, int64_t example, int64_t at) {
  const auto softplus = [](T x) { return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))); };
  // softplus(x + d) - softplus(x), which must not be the difference of large numbers.
  const auto growth = [&](T x, T d) {
    return x > 0 ? d + (softplus(-(x + d)) - softplus(-x)) : softplus(x + d) - softplus(x);
  };
  const T *logits = call.logits + example * call.children;
  T logarithm = 0, energy = 0;
  for (int64_t j = 0; j < call.children; j++) {
    const T delta = sign * rise[j], z = logits[j] + delta;
    const bool up = call.taken && call.taken[example * call.children + j] > T(0.5);
    logarithm += up ? growth(-logits[j], -delta) : growth(logits[j], delta);
    energy += (call.slopes ? call.slopes[example * call.children + j] : z) / (1 + std::exp(-z));
  }
  if (call.mantissa) {
    call.mantissa[at] = 1;
    call.exponent[at] = logarithm * T(1.44269504088896340736);
  }
  if (call.energy) call.energy[at] = energy;
}

// A child between up and low has the mean of both values' log-probabilities: what is missing after it was taken to be
// the nearer one.
template <typename T>
T between(const Call<T> &call, const T *rise, T sign, int64_t example) {
  T sum = 0;
  for (int64_t j = 0; j < call.children; j++) {
    const T taken = call.taken[example * call.children + j];
    sum -= (taken - (taken > T(0.5))) * sign * rise[j];
  }
  return sum * T(1.44269504088896340736);
}

}  // namespace

#endif  // HNCA_SUMS_H_
