// Included before everything else when ssh2's native crypto is built.
//
// From Node 24.19 on, node::ObjectWrap takes back a cleanup hook in its destructor, which the garbage collector may run
// while no context is entered: Node then aborts the whole process (nodejs/node#65446, mscdex/ssh2#1511), some time
// after a connection was closed. Without the hook it is as it was before: what is alive at the exit is not deleted.

#include <node.h>

namespace node {
inline void WithoutCleanupHook(v8::Isolate*, void (*)(void*), void*) {}
}

#define AddEnvironmentCleanupHook WithoutCleanupHook
#define RemoveEnvironmentCleanupHook WithoutCleanupHook
#include <node_object_wrap.h>
#undef AddEnvironmentCleanupHook
#undef RemoveEnvironmentCleanupHook
