"""What all operators of the extension do: check, call a function, and report."""

from ..errors import AddonError


class Reporting:
    """An operator whose `work` may raise AddonError; what text it returns is shown."""

    def execute(self, context):
        try:
            text = self.work(*self.subject(context))
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if text:
            self.report({"INFO"}, text)
        return {"FINISHED"}

    def subject(self, context) -> tuple:
        """What `work` is given."""
        return (context,)
