/* What a C++ program does: numbers SORT COUNT | words (of standard input, counted) | more. */
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

/* Sorted, shuffled and sorted in another way: the sums have to be one. */
static int sort(std::size_t count)
{
    std::mt19937_64 random(42);
    std::vector<std::uint64_t> numbers(count);

    std::generate(numbers.begin(), numbers.end(), std::ref(random));
    auto others = numbers;
    std::sort(numbers.begin(), numbers.end());
    std::shuffle(others.begin(), others.end(), random);
    std::stable_sort(others.begin(), others.end(), std::greater<>());
    std::reverse(others.begin(), others.end());
    if (numbers != others || !std::is_sorted(numbers.begin(), numbers.end()))
        return 1;
    std::cout << count << " sorted, sum "
              << std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0}) << std::endl;
    return 0;
}

static int words()
{
    std::unordered_map<std::string, int> found;
    std::string word;

    while (std::cin >> word)
        ++found[word];
    for (const auto &[name, count] : std::map<std::string, int>(found.begin(), found.end()))
        std::cout << std::setw(3) << count << ' ' << name << '\n';
    return 0;
}

struct shape {
    virtual ~shape() = default;
    virtual double area() const = 0;
};
struct square : shape {
    explicit square(double a) : a(a)
    {
    }
    double area() const override
    {
        return a * a;
    }
    double a;
};
struct circle : shape {
    explicit circle(double r) : r(r)
    {
    }
    double area() const override
    {
        return 3.14159265358979 * r * r;
    }
    double r;
};

/* A constructor before main() and a destructor after it. */
static struct first_and_last {
    first_and_last()
    {
        std::cout << "first\n";
    }
    ~first_and_last()
    {
        std::cout << "last\n" << std::flush;
    }
} both;

static int more()
{
    std::vector<std::unique_ptr<shape>> shapes;
    std::ostringstream text;
    const auto begun = std::chrono::steady_clock::now();

    shapes.push_back(std::make_unique<square>(2));
    shapes.push_back(std::make_unique<circle>(1));
    for (const auto &one : shapes)
        text << std::fixed << std::setprecision(3) << one->area() << ' '
             << (dynamic_cast<const circle *>(one.get()) != nullptr) << ' ';
    text << std::hex << 255 << ' ' << std::stod("1e10") << ' ' << std::boolalpha
         << (std::chrono::steady_clock::now() >= begun);
    std::cout << text.str() << '\n';
    return 0;
}

int main(int argc, char **argv)
{
    const std::string what = argc > 1 ? argv[1] : "";

    if (what == "sort" && argc > 2)
        return sort(std::stoul(argv[2]));
    if (what == "words")
        return words();
    return what == "more" ? more() : 2;
}
