# `cmake --install`: the program, every level's library and headers, and find_package(dmoerm), which gives
# dmoerm::dmoerm (all levels) and dmoerm::core, dmoerm::text, … (one each).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(levels GLOBAL PROPERTY DMOERM_LEVELS)
foreach(level ${levels})
  string(REPLACE "dmoerm_" "" name ${level})
  set_target_properties(${level} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(${level} INTERFACE cxx_std_20)
endforeach()
# Finds a LibTorch that does not lie in the system's folders.
set_target_properties(dmoerm_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dmoerm)
install(TARGETS dmoerm_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS dmoerm ${levels} EXPORT dmoermTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT dmoermTargets NAMESPACE dmoerm:: DESTINATION ${package_dir})
install(DIRECTORY dmoerm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/dmoermConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/dmoermConfig.cmake cmake/Dependencies.cmake ${CMAKE_BINARY_DIR}/dmoermConfigVersion.cmake
        DESTINATION ${package_dir})
