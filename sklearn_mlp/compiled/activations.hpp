// The activations: each as a value of its argument, and with its slope, which is told from the value
// where it can be, and else found together with it.

struct Identity {
    static constexpr bool keeps_slope = false;
    template <class T> static INLINED T value(T x) { return x; }
    template <class T> static INLINED T slope(T) { return T(1); }
};

struct Logistic {
    static constexpr bool keeps_slope = false;
    template <class T> static INLINED T value(T x) { return elementary::logistic(x); }
    template <class T> static INLINED T slope(T y) { return y * (T(1) - y); }
};

struct Tanh {
    static constexpr bool keeps_slope = false;
    template <class T> static INLINED T value(T x) { return elementary::tanh(x); }
    template <class T> static INLINED T slope(T y) { return T(1) - y * y; }
};

struct Relu {
    static constexpr bool keeps_slope = false;
    // Written so that NaN stays NaN.
    template <class T> static INLINED T value(T x) { return x < T(0) ? T(0) : x; }
    template <class T> static INLINED T slope(T y) { return y <= T(0) ? T(0) : T(1); }
};

struct LeakyRelu {
    static constexpr bool keeps_slope = false;
    template <class T> static INLINED T value(T x) { return x < T(0) ? T(0.01) * x : x; }
    template <class T> static INLINED T slope(T y) { return y > T(0) ? T(1) : T(0.01); }
};

struct Elu {
    static constexpr bool keeps_slope = false;
    template <class T> static INLINED T value(T x) {
        const T negative = elementary::expm1(x < T(0) ? x : T(0));
        return x < T(0) ? negative : x;
    }
    template <class T> static INLINED T slope(T y) { return y <= T(0) ? y + T(1) : T(1); }
};

struct Selu {
    static constexpr bool keeps_slope = false;
    static constexpr double alpha = 1.6732632423543772, scale = 1.0507009873554805;
    template <class T> static INLINED T value(T x) {
        const T negative = T(alpha) * elementary::expm1(x < T(0) ? x : T(0));
        return T(scale) * (x < T(0) ? negative : x);
    }
    template <class T> static INLINED T slope(T y) {
        return y <= T(0) ? y + T(alpha * scale) : T(scale);
    }
};

struct Silu {
    static constexpr bool keeps_slope = true;
    template <class T> static INLINED T value(T x, T &slope) {
        const T p = elementary::logistic(x);
        slope = p * (T(1) + x * (T(1) - p));
        return x * p;
    }
};

// tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2) with n = exp(x), which is 1 from 20 on.
struct Mish {
    static constexpr bool keeps_slope = true;
    template <class T> static INLINED T value(T x, T &slope) {
        const T n = elementary::exp(x < T(20) ? x : T(20));
        const T m = n * (n + T(2));
        const T w = m / (m + T(2));
        slope = w + x * (T(1) - w * w) * elementary::logistic(x);
        return x * w;
    }
};

struct Softplus {
    static constexpr bool keeps_slope = true;
    template <class T> static INLINED T value(T x, T &slope) {
        slope = elementary::logistic(x);
        return elementary::softplus(x);
    }
};

struct Gelu {
    static constexpr bool keeps_slope = true;
    template <class T> static INLINED T value(T x, T &slope) {
        const T density = T(0.3989422804014327) * elementary::exp(T(-0.5) * x * x);
        const T share = elementary::normal_cdf(x);
        slope = share + x * density;
        return x * share;
    }
};

template <class Body> void with_activation(Activation activation, Body body) {
    switch (activation) {
    case Activation::identity: return body(Identity{});
    case Activation::logistic: return body(Logistic{});
    case Activation::tanh: return body(Tanh{});
    case Activation::relu: return body(Relu{});
    case Activation::leaky_relu: return body(LeakyRelu{});
    case Activation::elu: return body(Elu{});
    case Activation::selu: return body(Selu{});
    case Activation::silu: return body(Silu{});
    case Activation::mish: return body(Mish{});
    case Activation::softplus: return body(Softplus{});
    case Activation::gelu: return body(Gelu{});
    }
}
