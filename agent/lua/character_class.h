#pragma once

namespace stickmesh::lua {

/// Whether |character| is what "%|letter|" in a pattern stands for: of the class that the letter names (upper
/// case: not of it), with the C locale's meaning whatever the locale is; any other letter stands for itself.
bool in_class(char character, char letter);

}  // namespace stickmesh::lua
