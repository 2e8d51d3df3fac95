// Numbers below the smallest normal one, which processors compute with by a slow detour.
#pragma once

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace sklearn_mlp {

// Has results below the smallest normal number become 0, in the calling thread, while it lives.
//
// Where a feature is always 0, as many a pixel is, the penalty is all that is left of the gradient,
// and Adam squares it: measured, three times as long a step, in float32. On x86 only: others take
// no detour.
class SubnormalsAreZero {
  public:
#if defined(__SSE__) || defined(_M_X64)
    SubnormalsAreZero() : found_(_mm_getcsr()) { _mm_setcsr(found_ | FLUSH); }
    ~SubnormalsAreZero() { _mm_setcsr(found_); }

  private:
    static constexpr unsigned FLUSH = 0x8000; // of MXCSR; what comes in stays as it is
    const unsigned found_;
#else
    SubnormalsAreZero() {}
    ~SubnormalsAreZero() {}
#endif
    SubnormalsAreZero(const SubnormalsAreZero &) = delete;
    SubnormalsAreZero &operator=(const SubnormalsAreZero &) = delete;
};

} // namespace sklearn_mlp
