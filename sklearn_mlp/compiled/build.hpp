// Builds the steps for one kind of processor: BUILD names it, TARGET has what it must offer,
// VECTOR_BYTES is the size of its vectors, a tile of a product is up to TILE_VECTORS high and takes
// TILE_REGISTERS of them; HAS_SMALL_PRODUCTS says whether OpenBLAS has kernels for small products
// there, HAS_ESTIMATED_ROOTS whether the processor estimates one over a root.
//
// The standard headers come first: what they define is built for any processor, and only what
// follows for this one. It may not call their templates beyond what is surely inlined, since the
// linker keeps a single copy of each.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#ifdef HAS_ESTIMATED_ROOTS
#include <immintrin.h>
#endif

#include "forms.hpp"

#ifndef HAS_SMALL_PRODUCTS
#define HAS_SMALL_PRODUCTS false
#endif

#ifdef TARGET
#define PRAGMA_OF(text) _Pragma(#text)
#if defined(__clang__)
#define BEGIN_TARGET(what) PRAGMA_OF(clang attribute push(__attribute__((target(what))), apply_to = function))
BEGIN_TARGET(TARGET)
#else
#define BEGIN_TARGET(what) PRAGMA_OF(GCC target(what))
BEGIN_TARGET(TARGET)
#endif
#endif

namespace sklearn_mlp {
namespace BUILD {

#include "steps.hpp"

extern const Functions<float> of_float;
extern const Functions<double> of_double;
const Functions<float> of_float{work<float>, judge<float>};
const Functions<double> of_double{work<double>, judge<double>};

} // namespace BUILD
} // namespace sklearn_mlp

#if defined(TARGET) && defined(__clang__)
#pragma clang attribute pop
#endif
