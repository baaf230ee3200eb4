# find_package(dmoerm): what the library was built with, then its targets.
if(TARGET dmoerm::dmoerm)
  return()
endif()
include("${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/dmoermTargets.cmake")
