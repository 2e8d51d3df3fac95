// The steps for x86-64 with AVX2.
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define BUILD avx2
#define TARGET "avx2,fma"
#define VECTOR_BYTES 32
#define TILE_VECTORS 2
#define TILE_REGISTERS 12
#include "build.hpp"
#endif
