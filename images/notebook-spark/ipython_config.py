"""Every kernel of this image has ``spillway_spark()`` without an import."""

c = get_config()  # type: ignore[name-defined] # noqa: F821
c.InteractiveShellApp.extensions = ["spillway_spark"]
