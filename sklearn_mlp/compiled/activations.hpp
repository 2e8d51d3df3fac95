// The activations: each as a value, and as a slope told from what is kept, the value or the argument.

struct Identity {
    static constexpr bool keeps_input = false;
    template <class T> static INLINED T value(T x) { return x; }
    template <class T> static INLINED T slope(T) { return T(1); }
};

struct Logistic {
    static constexpr bool keeps_input = false;
    template <class T> static INLINED T value(T x) { return elementary::logistic(x); }
    template <class T> static INLINED T slope(T y) { return y * (T(1) - y); }
};

struct Tanh {
    static constexpr bool keeps_input = false;
    template <class T> static INLINED T value(T x) { return elementary::tanh(x); }
    template <class T> static INLINED T slope(T y) { return T(1) - y * y; }
};

struct Relu {
    static constexpr bool keeps_input = false;
    // Written so that NaN stays NaN.
    template <class T> static INLINED T value(T x) { return x < T(0) ? T(0) : x; }
    template <class T> static INLINED T slope(T y) { return y <= T(0) ? T(0) : T(1); }
};

struct LeakyRelu {
    static constexpr bool keeps_input = false;
    template <class T> static INLINED T value(T x) { return x < T(0) ? T(0.01) * x : x; }
    template <class T> static INLINED T slope(T y) { return y > T(0) ? T(1) : T(0.01); }
};

struct Elu {
    static constexpr bool keeps_input = false;
    template <class T> static INLINED T value(T x) {
        const T negative = elementary::expm1(x < T(0) ? x : T(0));
        return x < T(0) ? negative : x;
    }
    template <class T> static INLINED T slope(T y) { return y <= T(0) ? y + T(1) : T(1); }
};

struct Selu {
    static constexpr bool keeps_input = false;
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
    static constexpr bool keeps_input = true;
    template <class T> static INLINED T value(T x) { return x * elementary::logistic(x); }
    template <class T> static INLINED T slope(T x) {
        const T p = elementary::logistic(x);
        return p * (T(1) + x * (T(1) - p));
    }
};

// tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2) with n = exp(x), which is 1 from 20 on.
struct Mish {
    static constexpr bool keeps_input = true;
    template <class T> static INLINED T value(T x) {
        const T n = elementary::exp(x < T(20) ? x : T(20));
        const T m = n * (n + T(2));
        return x * (m / (m + T(2)));
    }
    template <class T> static INLINED T slope(T x) {
        const T n = elementary::exp(x < T(20) ? x : T(20));
        const T m = n * (n + T(2));
        const T w = m / (m + T(2));
        return w + x * (T(1) - w * w) * elementary::logistic(x);
    }
};

struct Softplus {
    static constexpr bool keeps_input = true;
    template <class T> static INLINED T value(T x) { return elementary::softplus(x); }
    template <class T> static INLINED T slope(T x) { return elementary::logistic(x); }
};

struct Gelu {
    static constexpr bool keeps_input = true;
    template <class T> static INLINED T value(T x) { return x * elementary::normal_cdf(x); }
    template <class T> static INLINED T slope(T x) {
        const T density = T(0.3989422804014327) * elementary::exp(T(-0.5) * x * x);
        return elementary::normal_cdf(x) + x * density;
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
