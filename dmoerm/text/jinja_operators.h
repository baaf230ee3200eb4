// Operators, attributes, indices and slices of template values, as in Python.
#pragma once

#include <string>

#include "dmoerm/text/jinja_value.h"

namespace dmoerm::text::jinja {

Value unary(const std::string& symbol, const Value& operand);                    // - +
Value binary(const std::string& symbol, const Value& left, const Value& right);  // + - * / // % **
bool compare(const std::string& symbol, const Value& left, const Value& right);  // == != < <= > >= in, not in
bool contains(const Value& container, const Value& item);                        // item in container

// Undefined where there is none; Error for an attribute or an index of what is undefined.
Value attribute(const Value& object, const std::string& name);
Value subscript(const Value& object, const Value& index);
Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
// "a.b.0" from attribute to attribute, as the filters that take an attribute do.
Value attribute_path(const Value& object, const Value& path);

// Python's printf-style formatting: %s, %d, %i, %r, %%, %f and %x, with flags, width and precision.
std::string format_printf(const std::string& format, const std::vector<Value>& values);

}  // namespace dmoerm::text::jinja
