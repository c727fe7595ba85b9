// hello.cpp - the same in C++, with handles that close themselves: hello_cpp MODEL PICTURE.
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <vector>

#include <tenrec/tenrec.h>

using model_ptr = std::unique_ptr<tenrec_model, decltype(&tenrec_close)>;
using session_ptr = std::unique_ptr<tenrec_session, decltype(&tenrec_session_free)>;

int main(int argc, char **argv)
try {
    tenrec_error error{};
    auto check = [&error](bool good) { if (!good) throw std::runtime_error(error.text); };
    if (argc != 3) throw std::runtime_error("usage: hello_cpp MODEL PICTURE");
    model_ptr model(tenrec_open(argv[1], nullptr, &error), tenrec_close);
    check(model != nullptr);
    session_ptr session(tenrec_session_new(model.get(), nullptr, &error), tenrec_session_free);
    check(session != nullptr);
    std::ifstream file(argv[2], std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    tenrec_image picture{ bytes.data(), bytes.size(), 0, 0, 0 };
    tenrec_answer answer{};
    check(tenrec_score(session.get(), &picture, 1, &answer, 1, &error) == 0);
    for (size_t i = 0; i < answer.n; i++)
        std::cout << answer.score[i] << ' ' << (answer.label[i] ? answer.label[i] : "?") << '\n';
} catch (const std::exception &e) {
    std::cerr << "hello_cpp: " << e.what() << '\n';
    return 1;
}
