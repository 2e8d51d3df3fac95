// The steps for x86-64 with AVX-512.
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define BUILD avx512
#define TARGET "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512"
#define HAS_SMALL_PRODUCTS true
#include "build.hpp"
#endif
