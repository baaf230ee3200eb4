# `cmake --install` and find_package(dmoerm).
