// The steps for x86-64 with AVX-512.
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define BUILD avx512
// Else GCC fills only half of a register. Clang has no such target.
#ifdef __clang__
#define TARGET "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
#else
#define TARGET "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512"
#endif
#define VECTOR_BYTES 64
#define TILE_VECTORS 4
#define TILE_REGISTERS 24
#define HAS_SMALL_PRODUCTS true
#define HAS_ESTIMATED_ROOTS
#include "build.hpp"
#endif
