// Elementary functions without branches, which the compiler turns into vectors of any width.
//
// NaN stays NaN, and what overflows is infinite. Numbers below the smallest normal one become 0.
// Nothing here may be reassociated: the files that include it are compiled without.

// A loop is only made of vectors if all that it calls is within it, which is more than the compiler
// would inline by itself.
#if defined(__GNUC__)
#define INLINED inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define INLINED __forceinline
#else
#define INLINED inline
#endif

// Before a loop of a few rounds: nothing is left of the loop.
#define UNROLLED _Pragma("GCC unroll 16")

namespace elementary {

template <class T> constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T> constexpr T nan = std::numeric_limits<T>::quiet_NaN();

template <class To, class From> INLINED To bits(From from) {
    To to;
    static_assert(sizeof(to) == sizeof(from), "bits are reread");
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

// exp(x) = 2**n * exp(r), |r| <= log(2) / 2, and a Taylor series for exp(r). n comes out of the
// low bits of a sum with a number so large that the unit is its last digit.
INLINED float exp(float x) {
    const float magic = 12582912.0f; // 1.5 * 2**23
    float y = x > 89.0f ? 89.0f : x;
    y = y < -88.0f ? -88.0f : y;
    const float shifted = y * 1.44269504f + magic;
    const float n = shifted - magic;
    const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const int32_t exponent = (bits<int32_t>(shifted) << 23) + (126 << 23); // 2**(n - 1)
    const float result = p * bits<float>(exponent) * 2.0f;
    return x > 88.72283f ? infinity<float> : x < -87.33654f ? 0.0f : result;
}

INLINED double exp(double x) {
    const double magic = 6755399441055744.0; // 1.5 * 2**52
    double y = x > 710.0 ? 710.0 : x;
    y = y < -709.0 ? -709.0 : y;
    const double shifted = y * 1.4426950408889634 + magic;
    const double n = shifted - magic;
    const double r = (y - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const int64_t exponent = static_cast<int64_t>(
        (bits<uint64_t>(shifted) << 52) + (uint64_t(1022) << 52)); // 2**(n - 1)
    const double result = p * bits<double>(exponent) * 2.0;
    return x > 709.782712893384 ? infinity<double> : x < -708.3964185322641 ? 0.0 : result;
}

// log(x) = e log(2) + log(m), m within a factor of sqrt(2) of 1, by the series of artanh.
INLINED float log(float x) {
    const float tiny = 1.17549435e-38f;
    const float y = x < tiny ? x * 8388608.0f : x;
    const int32_t raw = bits<int32_t>(y);
    const int32_t shift = (raw - 0x3f3504f3) & ~0x7fffff; // multiples of 2**23
    const float m = bits<float>(raw - shift);
    const float e = static_cast<float>(shift >> 23) - (x < tiny ? 23.0f : 0.0f);
    const float s = (m - 1.0f) / (m + 1.0f);
    const float q = s * s;
    float p = 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    const float log_m = 2.0f * s + 2.0f * s * q * p;
    const float result = e * 0.693359375f + (log_m - e * 2.12194440e-4f);
    const float unusual = x == 0.0f ? -infinity<float> : x > 0.0f ? x : nan<float>;
    return x > 0.0f && x < infinity<float> ? result : unusual;
}

INLINED double log(double x) {
    const double tiny = 2.2250738585072014e-308;
    const double y = x < tiny ? x * 4503599627370496.0 : x;
    const uint64_t raw = bits<uint64_t>(y);
    const uint64_t above = raw - 0x3fe6a09e667f3bcdull; // sqrt(1/2)
    // Rounded down without an arithmetic shift of 64 bits, which few processors have in vectors.
    const uint64_t power = (above + (uint64_t(1024) << 52)) >> 52;
    const double m = bits<double>(raw - ((power - 1024) << 52));
    const double e = (bits<double>(power | 0x4330000000000000ull) - 4503599627370496.0) - 1024.0
        - (x < tiny ? 52.0 : 0.0);
    const double s = (m - 1.0) / (m + 1.0);
    const double q = s * s;
    double p = 1.0 / 23;
    p = p * q + 1.0 / 21;
    p = p * q + 1.0 / 19;
    p = p * q + 1.0 / 17;
    p = p * q + 1.0 / 15;
    p = p * q + 1.0 / 13;
    p = p * q + 1.0 / 11;
    p = p * q + 1.0 / 9;
    p = p * q + 1.0 / 7;
    p = p * q + 1.0 / 5;
    p = p * q + 1.0 / 3;
    const double log_m = 2.0 * s + 2.0 * s * q * p;
    const double result = e * 6.93147180369123816490e-01 + (log_m + e * 1.90821492927058770002e-10);
    const double unusual = x == 0.0 ? -infinity<double> : x > 0.0 ? x : nan<double>;
    return x > 0.0 && x < infinity<double> ? result : unusual;
}

// sqrt(x) = x / sqrt(x), of x >= 0, of which 1 / sqrt(x) is found by Newton's steps from half the
// exponent. Below twice the smallest normal number, of which half is not taken for 0, y is that
// one's; 0, infinity and NaN stay as they are.
INLINED float root(float x) {
    const float tiny = 2.35098870e-38f, huge = 3.40282347e38f;
    const float z = x < tiny ? tiny : x > huge ? huge : x;
    float y = bits<float>(0x5f375a86u - (bits<uint32_t>(z) >> 1));
    const float half = 0.5f * z;
    for (int i = 0; i < 3; ++i)
        y *= 1.5f - half * y * y;
    return x * y;
}

INLINED double root(double x) {
    const double tiny = 4.4501477170144028e-308, huge = 1.7976931348623157e308;
    const double z = x < tiny ? tiny : x > huge ? huge : x;
    double y = bits<double>(0x5fe6eb50c7b537a9ull - (bits<uint64_t>(z) >> 1));
    const double half = 0.5 * z;
    for (int i = 0; i < 4; ++i)
        y *= 1.5 - half * y * y;
    return x * y;
}

#ifdef HAS_ESTIMATED_ROOTS
// The same of sixteen numbers. The processor's estimate is right to 14 bits: one step is enough.
struct Sixteen {
    typedef float Numbers __attribute__((vector_size(64), aligned(alignof(float)), may_alias));
};

INLINED Sixteen::Numbers root(Sixteen::Numbers x) {
    const Sixteen::Numbers tiny = 2.35098870e-38f - Sixteen::Numbers{};
    const Sixteen::Numbers huge = 3.40282347e38f - Sixteen::Numbers{};
    const Sixteen::Numbers z = x < tiny ? tiny : x > huge ? huge : x;
    const Sixteen::Numbers y = _mm512_maskz_rsqrt14_ps(0xffff, z);
    return x * (y * (1.5f - 0.5f * z * y * y));
}
#endif

template <class T> INLINED T absolute(T x) { return x < T(0) ? -x : x; }

// Of x >= 0; what rounding takes from 1 + x is put back.
template <class T> INLINED T log1p(T x) {
    const T u = T(1) + x;
    return log(u) + (x - (u - T(1))) / u;
}

template <class T> INLINED T logistic(T x) { return T(1) / (T(1) + exp(-x)); }

template <class T> INLINED T softplus(T x) {
    const T e = log1p(exp(-absolute(x)));
    return x > T(0) ? x + e : e;
}

// Near 0 the difference of exponentials would lose its digits.
template <class T> INLINED T tanh(T x) {
    const T e = exp(T(-2) * absolute(x));
    const T size = (T(1) - e) / (T(1) + e);
    const T q = x * x;
    T p = T(-1382.0 / 155925);
    p = p * q + T(62.0 / 2835);
    p = p * q + T(-17.0 / 315);
    p = p * q + T(2.0 / 15);
    p = p * q + T(-1.0 / 3);
    return q < T(0.01) ? x + x * q * p : x < T(0) ? -size : size;
}

template <class T> INLINED T expm1(T x) {
    T p = T(1.0 / 362880);
    p = p * x + T(1.0 / 40320);
    p = p * x + T(1.0 / 5040);
    p = p * x + T(1.0 / 720);
    p = p * x + T(1.0 / 120);
    p = p * x + T(1.0 / 24);
    p = p * x + T(1.0 / 6);
    p = p * x + T(0.5);
    return absolute(x) < T(0.1) ? x + x * x * p : exp(x) - T(1);
}

// Phi(x) of the normal distribution. With t = 2 / (2 + |z|) and z = x / sqrt(2),
// erfc(|z|) = t exp(-z**2 + P(t)); the coefficients are those of P's Chebyshev interpolation on
// 0 < t < 1, computed from the scaled complementary error function.
template <class T> INLINED T normal_cdf(T x) {
    constexpr double coefficients[] = {
        -0.6513268598908546,     0.6419697923564901,     0.01947647320418593,
        -0.009561514786808889,   -0.0009465953444817848, 0.0003668394978526379,
        4.252332480734422e-05,   -2.027857811258471e-05, -1.6242900046581355e-06,
        1.303655835496187e-06,   1.5626441842719884e-08, -8.523809627902778e-08,
        6.529054679127455e-09,   5.059343552993312e-09,  -9.913638709946326e-10,
        -2.273651644735253e-10,  9.646826448772572e-11,  2.3941737481436575e-12,
        -6.8861227831007455e-12, 8.941558604647071e-13,  3.132161197072492e-13,
        -1.127586912730294e-13,  6.972200594645983e-16,  6.693534615465069e-15};
    constexpr int n = sizeof(T) == 4 ? 13 : 24;
    const T z = absolute(x) * T(0.70710678118654752);
    const T t = T(2) / (T(2) + z);
    const T u = T(2) * t - T(1);
    T b = T(0), before = T(0); // Clenshaw's sums
    for (int i = n - 1; i > 0; --i) {
        const T next = T(2) * u * b - before + T(coefficients[i]);
        before = b;
        b = next;
    }
    const T half = T(0.5) * t * exp(u * b - before + T(coefficients[0]) - z * z);
    return x < T(0) ? half : T(1) - half;
}

} // namespace elementary
