// The steps for x86-64 with AVX2.
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define BUILD avx2
#define TARGET "avx2,fma"
#include "build.hpp"
#endif
