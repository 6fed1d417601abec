"""Policy files as text: JSON and YAML read with positions, edited in place, problems told."""
