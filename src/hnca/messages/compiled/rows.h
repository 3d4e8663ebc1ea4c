// What a call is about, and its arrays read and padded to whole vectors: the children once, the parents a few at a time.

#ifndef HNCA_ROWS_H_
#define HNCA_ROWS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "vectors.h"

namespace {

constexpr int kRows = 4;  // parents at a time: they share what is read of the children

// What one call is about. The arrays begin with the seeds.
template <typename T>
struct Call {
  const T *rise = nullptr, *logits = nullptr, *taken = nullptr, *slopes = nullptr, *state = nullptr;
  int64_t parents = 0, children = 0, batch = 0;
  // Of the children, padded to whole vectors: the logits, whether they are up, the probabilities of the value whose
  // part in the factor changes (1 for growth, the other one for a message) and of the one whose part does not, and the
  // slopes.
  int64_t padded = 0;
  Lines<T> padded_logits{}, up{}, changing{}, staying{}, padded_slopes{};
  std::vector<char> has_between{};  // of every example: whether a child is neither up nor low
  T *mantissa = nullptr, *exponent = nullptr, *energy = nullptr;  // the results; a mean is where an energy would be
};

// Copies a row of children and fills it up.
template <typename T>
INLINE T *padded_row(const Call<T> &call, const T *from, T *row) {
  std::copy_n(from, call.children, row);
  std::fill(row + call.children, row + call.padded, T(0));
  return row;
}

template <typename V, typename T = Number<V>>
INLINE void read_children(Call<T> &call, int64_t examples) {
  for (auto *rows : {&call.padded_logits, &call.up, &call.changing, &call.staying}) rows->resize(examples * call.padded);
  if (call.slopes) call.padded_slopes.resize(examples * call.padded);
  call.has_between.assign(examples, 0);
  for (int64_t example = 0; example < examples; example++) {
    const int64_t from = example * call.children, to = example * call.padded;
    const T *logits = padded_row(call, call.logits + from, call.padded_logits.data() + to);
    const T *taken = call.taken ? padded_row(call, call.taken + from, call.up.data() + to) : nullptr;
    if (call.slopes) padded_row(call, call.slopes + from, call.padded_slopes.data() + to);
    T *changing = call.changing.data() + to, *staying = call.staying.data() + to;
    for (int64_t at = 0; at < call.padded; at += V::lanes) {
      Vector<V> a = load<V>(logits + at);
      if (taken) {
        const Vector<V> up = load<V>(taken + at), between = up * (1 - up);
        call.has_between[example] |= sum_of_lanes<V>(between != 0 ? Vector<V>{} + 1 : Vector<V>{}) > 0;
        a = up > T(0.5) ? -a : a;
      }
      const Vector<V> size = a < 0 ? -a : a;
      const Vector<V> small = exponentials<V>(size < V::certain ? size : Vector<V>{} + V::certain).of_minus;
      const Vector<V> unlikely = small / (1 + small), likely = 1 - unlikely;
      // What is no number stays none.
      store<V>(changing + at, a > 0 ? likely : a <= 0 ? unlikely : a);
      store<V>(staying + at, a > 0 ? unlikely : a <= 0 ? likely : a);
    }
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

// Up to this weight: see `Growth`.
constexpr int kLessOneUpTo = 3;

template <typename V, typename T = Number<V>>
INLINE Rows<T> read_rows(const Call<T> &call, int64_t seed, int64_t first) {
  Rows<T> rows;
  for (auto *padded : {&rows.rise, &rows.rising, &rows.falling}) padded->resize(kRows * call.padded);
  Vector<V> largest{}, total{};
  for (int k = 0; k < kRows; k++) {
    rows.index[k] = std::min(first + k, call.parents - 1);
    const T *from = call.rise + (seed * call.parents + rows.index[k]) * call.children;
    const T *rise = padded_row(call, from, rows.rise.data() + k * call.padded);
    for (int64_t at = 0; at < call.padded; at += V::lanes) {
      const Vector<V> delta = load<V>(rise + at), size = delta < 0 ? -delta : delta;
      largest = size > largest ? size : largest;
      total += size;
      const Exponentials<V> both = exponentials<V>(delta);
      store<V>(rows.rising.data() + k * call.padded + at, both.of_plus);
      store<V>(rows.falling.data() + k * call.padded + at, both.of_minus);
    }
  }
  T most = folded<V>(largest, [](Vector<V> a, Vector<V> b) INLINE_LAMBDA { return a > b ? a : b; });
  // The maximum passes over what is no number; the slow way, which `most` then leads to, does not.
  if (std::isnan(sum_of_lanes<V>(total))) most = std::numeric_limits<T>::quiet_NaN();
  const int64_t vectors = call.padded / V::lanes;
  rows.chunk = most * vectors <= V::range ? vectors : most <= V::range ? V::range / most : 0;
  rows.less_one = most <= kLessOneUpTo;
  if (rows.less_one)
    for (auto *exponentials : {&rows.rising, &rows.falling})
      for (int64_t at = 0; at < kRows * call.padded; at += V::lanes)
        store<V>(exponentials->data() + at, load<V>(exponentials->data() + at) - 1);
  return rows;
}

}  // namespace

#endif  // HNCA_ROWS_H_
