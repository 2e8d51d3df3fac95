// The Python module `_steps`: plans made of numbers and addresses, and their epochs.
//
// It trusts its caller, `sklearn_mlp.compiled.plan`, which keeps what is pointed to alive.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "forms.hpp"
#include "subnormals.hpp"

namespace sklearn_mlp {

// Counts the changes of what the functions below take and return, as `library.py` does: one built
// from older sources is not used.
constexpr int binding = 3;

#define DECLARE(name)                                                                             \
    namespace name {                                                                              \
    extern const Functions<float> of_float;                                                       \
    extern const Functions<double> of_double;                                                     \
    }
DECLARE(baseline)
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define HAS_X86_BUILDS
DECLARE(avx2)
DECLARE(avx512)
#endif

struct Build {
    const char *name;
    bool (*is_supported)();
    const Functions<float> &of_float;
    const Functions<double> &of_double;
};

// The fastest first.
const Build builds[] = {
#ifdef HAS_X86_BUILDS
    {"avx512",
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
             && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
             && __builtin_cpu_supports("fma");
     },
     avx512::of_float, avx512::of_double},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); },
     avx2::of_float, avx2::of_double},
#endif
    {"baseline", [] { return true; }, baseline::of_float, baseline::of_double},
};

template <class T> const Functions<T> &functions_of(const Build &build);
template <> const Functions<float> &functions_of(const Build &build) { return build.of_float; }
template <> const Functions<double> &functions_of(const Build &build) { return build.of_double; }

// Has threads do their parts of something, the calling one the first; returns what each has found.
template <class Found, class Part>
std::vector<Found> take_parts(int n_threads, Barrier &barrier, Part part) {
    const int wanted = std::max(1, n_threads);
    std::vector<Found> found(wanted);
    std::vector<std::thread> threads;
    std::atomic<bool> may_begin{false};
    try {
        threads.reserve(wanted);
        for (int thread = 1; thread < wanted; ++thread)
            threads.emplace_back([&, thread] {
                while (!may_begin.load(std::memory_order_acquire))
                    std::this_thread::yield();
                const SubnormalsAreZero within_this_thread;
                found[thread] = part(thread);
            });
    } catch (const std::exception &) {
        // The system gives no more threads, or no memory for one: those that there are do the work.
    }
    barrier.n_threads = static_cast<int>(threads.size()) + 1;
    may_begin.store(true, std::memory_order_release);
    {
        const SubnormalsAreZero within_this_thread;
        found[0] = part(0);
    }
    for (auto &thread : threads)
        thread.join();
    return found;
}

// A plan together with what runs it.
template <class T> struct Runner {
    Plan<T> plan;
    Functions<T> functions;

    double run(const Epoch<T> &epoch) {
        Barrier barrier;
        plan.squares.assign(std::max(1, epoch.n_threads), 0.0);
        double total = 0;
        for (double part : take_parts<double>(epoch.n_threads, barrier, [&](int thread) {
                 return functions.work(plan, epoch, barrier, thread);
             }))
            total += part;
        return total;
    }

    Judgement judge(const Epoch<T> &samples, const Panel<T> &panel) {
        Barrier barrier;
        Judgement all;
        for (const Judgement &part :
             take_parts<Judgement>(samples.n_threads, barrier, [&](int thread) {
                 return functions.judge(plan, samples, panel, barrier, thread);
             })) {
            all.loss += part.loss;
            all.right += part.right;
        }
        return all;
    }
};

template <class T> bool read_numbers(PyObject *sequence, std::vector<T> &into) {
    const Py_ssize_t n = PySequence_Size(sequence);
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject *item = PySequence_GetItem(sequence, i);
        if (!item)
            return false;
        into.push_back(static_cast<T>(PyFloat_AsDouble(item)));
        Py_DECREF(item);
    }
    return !PyErr_Occurred();
}

template <class T> void allocate(Plan<T> &plan) {
    const size_t n = plan.batch_size, n_layers = plan.n_layers();
    size_t n_parameters = 0;
    for (size_t layer = 0; layer < n_layers; ++layer) {
        const size_t n_in = plan.widths[layer], n_out = plan.widths[layer + 1];
        n_parameters += (n_in + 1) * n_out;
        plan.deltas.emplace_back(n_out * n);
        if (layer + 1 == n_layers)
            break;
        plan.kept.emplace_back(n_out * n);
        const bool keeps_slope = plan.activations[layer] >= Activation::gelu;
        plan.hidden.emplace_back(keeps_slope || plan.is_dropped[layer + 1] ? n_out * n : 0);
    }
    const size_t n_scales = plan.has_scales ? plan.widths[0] : 0;
    plan.gradient.resize(n_parameters + n_scales);
    plan.inputs.resize(size_t(plan.widths[0]) * n);
    plan.scaled.resize(n_scales * n);
    for (auto *column : {&plan.column_max, &plan.column_sum, &plan.column_more})
        column->resize(n);
    if (plan.loss == Loss::softmax_codes)
        plan.codes.resize(n);
    else
        plan.targets.resize(size_t(plan.widths[n_layers]) * n);
}

template <class T> void destroy(PyObject *capsule) {
    delete static_cast<Runner<T> *>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)));
}

template <class T> const char *name_of();
template <> const char *name_of<float>() { return "float32"; }
template <> const char *name_of<double>() { return "float64"; }

struct Numbers {
    int batch_size, has_scales, loss, solver, are_codes;
    double loss_number, off, on, beta_1, beta_2, epsilon, decay, longest, bias_rate, scale_rate;
    double ema_decay;
    unsigned long long values, first, second, average;
};

template <class T> T *pointer_to(unsigned long long address) {
    return reinterpret_cast<T *>(static_cast<uintptr_t>(address));
}

template <class T>
PyObject *make_plan(const Build &build, PyObject *gemm, PyObject *widths, PyObject *activations,
                    PyObject *dropped, PyObject *factors, const Numbers &numbers) {
    auto *runner = new Runner<T>{};
    Plan<T> &plan = runner->plan;
    std::vector<int> kinds, flags;
    void *address = PyCapsule_GetPointer(gemm, PyCapsule_GetName(gemm));
    if (!address || !read_numbers(widths, plan.widths) || !read_numbers(activations, kinds)
        || !read_numbers(dropped, flags) || !read_numbers(factors, plan.factors)) {
        delete runner;
        return nullptr;
    }
    std::memcpy(&plan.gemm, &address, sizeof(address));
    for (int kind : kinds)
        plan.activations.push_back(static_cast<Activation>(kind));
    plan.is_dropped.assign(flags.begin(), flags.end());
    plan.batch_size = numbers.batch_size;
    plan.has_scales = numbers.has_scales;
    plan.loss = static_cast<Loss>(numbers.loss);
    plan.loss_number = numbers.loss_number;
    plan.are_codes = numbers.are_codes;
    plan.off = numbers.off;
    plan.on = numbers.on;
    plan.solver = static_cast<Solver>(numbers.solver);
    plan.beta_1 = numbers.beta_1;
    plan.beta_2 = numbers.beta_2;
    plan.epsilon = numbers.epsilon;
    plan.decay = numbers.decay;
    plan.longest = numbers.longest;
    plan.bias_rate = numbers.bias_rate;
    plan.scale_rate = numbers.scale_rate;
    plan.values = pointer_to<T>(numbers.values);
    plan.first = pointer_to<T>(numbers.first);
    plan.second = pointer_to<T>(numbers.second);
    plan.average = pointer_to<T>(numbers.average);
    plan.ema_decay = numbers.ema_decay;
    runner->functions = functions_of<T>(build);
    try {
        allocate(plan);
    } catch (const std::exception &) {
        delete runner;
        return PyErr_NoMemory();
    }
    PyObject *capsule = PyCapsule_New(runner, name_of<T>(), destroy<T>);
    if (!capsule)
        delete runner;
    return capsule;
}

PyObject *instruction_sets(PyObject *, PyObject *) {
    PyObject *names = PyList_New(0);
    for (const Build &build : builds) {
        if (!build.is_supported())
            continue;
        PyObject *name = PyUnicode_FromString(build.name);
        PyList_Append(names, name);
        Py_XDECREF(name);
    }
    return names;
}

PyObject *plan(PyObject *, PyObject *arguments) {
    const char *set, *dtype;
    PyObject *gemm, *widths, *activations, *dropped, *factors;
    Numbers n;
    if (!PyArg_ParseTuple(arguments, "ssOOOOOipidpddiddddddddKKKK", &set, &dtype, &gemm, &widths,
                          &activations, &dropped, &factors, &n.batch_size, &n.has_scales, &n.loss,
                          &n.loss_number, &n.are_codes, &n.off, &n.on, &n.solver, &n.beta_1,
                          &n.beta_2, &n.epsilon, &n.decay, &n.longest, &n.bias_rate,
                          &n.scale_rate, &n.ema_decay, &n.values, &n.first, &n.second, &n.average))
        return nullptr;
    for (const Build &build : builds) {
        if (std::strcmp(build.name, set) != 0 || !build.is_supported())
            continue;
        const auto make = std::strcmp(dtype, "float32") == 0 ? make_plan<float> : make_plan<double>;
        return make(build, gemm, widths, activations, dropped, factors, n);
    }
    PyErr_Format(PyExc_ValueError, "this processor does not have the instructions '%s'", set);
    return nullptr;
}

struct Addresses {
    unsigned long long inputs, targets, rows, shares, weight_sums, rates, penalties, masks;
    long long row_stride, column_stride, n_samples, step, averaged;
    int first, last, n_threads;
};

template <class T> PyObject *run_plan(PyObject *capsule, const Addresses &from) {
    auto *runner = static_cast<Runner<T> *>(PyCapsule_GetPointer(capsule, name_of<T>()));
    if (!runner)
        return nullptr;
    Epoch<T> epoch;
    epoch.inputs = pointer_to<const T>(from.inputs);
    epoch.row_stride = from.row_stride;
    epoch.column_stride = from.column_stride;
    epoch.targets = pointer_to<const void>(from.targets);
    epoch.rows = pointer_to<const int64_t>(from.rows);
    epoch.shares = pointer_to<const T>(from.shares);
    epoch.weight_sums = pointer_to<const double>(from.weight_sums);
    epoch.rates = pointer_to<const double>(from.rates);
    epoch.penalties = pointer_to<const double>(from.penalties);
    epoch.masks = pointer_to<const T>(from.masks);
    epoch.n_samples = from.n_samples;
    epoch.first = from.first;
    epoch.last = from.last;
    epoch.step = from.step;
    epoch.averaged = from.averaged;
    epoch.n_threads = from.n_threads;
    double total = 0;
    bool has_memory = true;
    Py_BEGIN_ALLOW_THREADS
    try {
        total = runner->run(epoch);
    } catch (const std::exception &) {
        has_memory = false;
    }
    Py_END_ALLOW_THREADS
    return has_memory ? PyFloat_FromDouble(total) : PyErr_NoMemory();
}

PyObject *run(PyObject *, PyObject *arguments) {
    PyObject *capsule;
    Addresses a;
    if (!PyArg_ParseTuple(arguments, "OKLLKKKKKKKLLLiii", &capsule, &a.inputs, &a.row_stride,
                          &a.column_stride, &a.targets, &a.shares, &a.weight_sums, &a.rates,
                          &a.penalties, &a.rows, &a.masks, &a.n_samples, &a.step, &a.averaged, &a.first,
                          &a.last, &a.n_threads))
        return nullptr;
    const auto run_it =
        PyCapsule_IsValid(capsule, name_of<float>()) ? run_plan<float> : run_plan<double>;
    return run_it(capsule, a);
}

struct JudgedAddresses {
    unsigned long long inputs, targets, weights, logits;
    long long row_stride, column_stride, n_samples;
    int is_scored, n_threads;
};

template <class T> PyObject *judge_plan(PyObject *capsule, const JudgedAddresses &from) {
    auto *runner = static_cast<Runner<T> *>(PyCapsule_GetPointer(capsule, name_of<T>()));
    if (!runner)
        return nullptr;
    Epoch<T> samples{};
    samples.inputs = pointer_to<const T>(from.inputs);
    samples.row_stride = from.row_stride;
    samples.column_stride = from.column_stride;
    samples.targets = pointer_to<const void>(from.targets);
    samples.n_samples = from.n_samples;
    samples.last = static_cast<int>((from.n_samples - 1) / runner->plan.batch_size + 1);
    samples.n_threads = from.n_threads;
    const Panel<T> panel{pointer_to<const double>(from.weights), from.is_scored != 0,
                         pointer_to<T>(from.logits)};
    Judgement found;
    bool has_memory = true;
    Py_BEGIN_ALLOW_THREADS
    try {
        found = runner->judge(samples, panel);
    } catch (const std::exception &) {
        has_memory = false;
    }
    Py_END_ALLOW_THREADS
    return has_memory ? Py_BuildValue("dd", found.loss, found.right) : PyErr_NoMemory();
}

PyObject *judge(PyObject *, PyObject *arguments) {
    PyObject *capsule;
    JudgedAddresses a;
    if (!PyArg_ParseTuple(arguments, "OKLLKKKLpi", &capsule, &a.inputs, &a.row_stride,
                          &a.column_stride, &a.targets, &a.weights, &a.logits, &a.n_samples,
                          &a.is_scored, &a.n_threads))
        return nullptr;
    const auto judge_it =
        PyCapsule_IsValid(capsule, name_of<float>()) ? judge_plan<float> : judge_plan<double>;
    return judge_it(capsule, a);
}

PyMethodDef methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS,
     "Return the names of those that this processor has, the fastest first."},
    {"plan", plan, METH_VARARGS, "Return the plan of a fit, with the memory of its steps."},
    {"run", run, METH_VARARGS, "Take steps of an epoch; return the sum of its samples' losses."},
    {"judge", judge, METH_VARARGS,
     "Return the sum of samples' losses, and of the weights of those that are right."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_steps", "The steps of epochs, compiled.", 0, methods,
    nullptr, nullptr, nullptr, nullptr,
};

} // namespace sklearn_mlp

PyMODINIT_FUNC PyInit__steps() {
    PyObject *module = PyModule_Create(&sklearn_mlp::definition);
    if (module && PyModule_AddIntConstant(module, "BINDING", sklearn_mlp::binding) < 0)
        Py_CLEAR(module);
    return module;
}
