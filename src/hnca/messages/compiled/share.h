// Work shared between the calling thread and those of the pool.

#ifndef HNCA_SHARE_H_
#define HNCA_SHARE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

// Does the items with whichever threads of the pool are free. The caller works too and waits only for items that
// somebody has begun, so a busy pool cannot hold it up.
inline void share(xla::ffi::ThreadPool pool, int64_t helpers, int64_t items, std::function<void(int64_t)> work) {
  struct Progress {
    std::atomic<int64_t> next{0};
    int64_t done = 0;
    std::mutex mutex;
    std::condition_variable changed;
  };
  auto progress = std::make_shared<Progress>();
  std::function<void()> help = [progress, items, work] {
    int64_t done = 0;
    for (int64_t item; (item = progress->next.fetch_add(1)) < items; done++) work(item);
    std::lock_guard<std::mutex> lock(progress->mutex);
    progress->done += done;
    if (done && progress->done == items) progress->changed.notify_all();
  };
  for (int64_t k = 0; k < helpers; k++) pool.Schedule(std::function<void()>(help));
  help();
  std::unique_lock<std::mutex> lock(progress->mutex);
  progress->changed.wait(lock, [&] { return progress->done == items; });
}

#endif  // HNCA_SHARE_H_
